import { ConfigError } from '../errors.ts';
import { type Calibration, calibrate } from '../models/calibration.ts';
import { calibrationKey, defaultCacheDir, writeCalibration } from '../models/calibration-cache.ts';
import type { LocalModel } from '../models/local-model.ts';
import { localProvider } from '../providers/local.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { Variant } from './find-variants.ts';
import { readEncoderShape } from './gemm-flops.ts';
import { type GemmBench, openGemmBench } from './gemm-limit.ts';
import { measureQueries } from './query-latency.ts';
import type { BenchText } from './read-texts.ts';
import type { QueryLatency } from './types.ts';

/** One precision on one device, open and calibrated, with what is measured while nothing else runs. */
export interface OpenRun {
  readonly model: LocalModel;
  readonly provider: EmbeddingProvider;
  readonly calibration: Calibration;
  /** True when the next start reads the calibration. */
  readonly kept: boolean;
  readonly query: QueryLatency;
  /** What the process grew by for each thread. */
  readonly sessionBytes: number;
  /** The model's products alone; undefined where their sizes are not known. */
  readonly gemm: GemmBench | undefined;
  close(): Promise<void>;
}

export interface OpenRunOptions {
  readonly name: string;
  /** Refused when the model makes another number; any unless said. */
  readonly dimensions: number | undefined;
  readonly texts: readonly BenchText[];
  readonly batchSize: number | undefined;
  /** Where calibrations are kept. */
  readonly cacheDir: string | undefined;
  readonly signal: AbortSignal;
}

/** Texts with which all threads are brought to work before anything is measured; too few for a calibration on the way. */
const WARM_UP = 256;

/** With fewer texts the choice is good enough to print, not to keep: a backfill would live with it. */
const LEAST_TO_KEEP = 256;

/** Opens a variant, finds its token budget, and keeps that for the next start. The caller closes it. */
export async function openRun(variant: Variant, options: OpenRunOptions): Promise<OpenRun> {
  const { name, texts, batchSize, signal } = options;
  const before = process.memoryUsage.rss();
  const model = await variant.open();
  try {
    assertDimensions(model, options);
    await model.pool.openAll();
    const documents = texts.map(({ text }) => text);
    const unknown = localProvider(name, model, { batchSize });
    await unknown.embed(documents.slice(0, WARM_UP), { kind: 'document', signal });
    const sessionBytes = Math.max(0, process.memoryUsage.rss() - before) / model.pool.threads;
    const calibration = await calibrateOn(documents, model, options);
    const kept = await keep(calibration, model, options);
    const provider = localProvider(name, model, { batchSize, calibration });
    const query = await measureQueries(provider, texts, signal);
    const shape = await readEncoderShape(model.files.directory);
    const gemm = shape && (await openGemmBench(shape, { ...model, deviceId: variant.deviceId }));
    // One after the other: sessions on WebGPU must not be at work at the same time.
    const close = async (): Promise<void> => {
      await provider.close();
      await gemm?.close();
    };
    return { model, provider, calibration, kept, query, sessionBytes, gemm, close };
  } catch (error) {
    await model.pool.close();
    throw error;
  }
}

async function calibrateOn(
  documents: readonly string[],
  model: LocalModel,
  { batchSize, signal }: OpenRunOptions,
): Promise<Calibration> {
  const prefix = model.config.prefixes.document;
  const texts = await model.tokenizer.tokenize(documents.map((text) => prefix + text));
  return calibrate(model, texts, { batchSize, signal });
}

async function keep(
  calibration: Calibration,
  model: LocalModel,
  { texts, batchSize, cacheDir }: OpenRunOptions,
): Promise<boolean> {
  if (texts.length < LEAST_TO_KEEP) return false;
  return writeCalibration(cacheDir ?? defaultCacheDir(), calibrationKey(model, batchSize), calibration);
}

function assertDimensions({ facts }: LocalModel, { name, dimensions }: OpenRunOptions): void {
  if (dimensions === undefined || dimensions === facts.dimensions) return;
  const message = `${name} makes ${facts.dimensions} dimensions, ${dimensions} were asked for.`;
  throw new ConfigError('dimensions_differ', message, {
    step: 'configuration',
    hint: `Run it with --dimensions ${facts.dimensions} (EMBEDDING_DIMENSIONS), or with another --model.`,
  });
}
