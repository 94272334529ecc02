import { setMaxListeners } from 'node:events';
import { basename } from 'node:path';
import type { OnProgress } from '../progress.ts';
import { type ArrivalOrder, openArrivalOrder, PLAIN_BATCH } from './arrival-order.ts';
import { defaultTexts } from './default-texts.ts';
import { findVariants, type VariantOptions } from './find-variants.ts';
import { describeMachine } from './machine.ts';
import { measureQuality } from './measure-quality.ts';
import { type OpenRun, openRun } from './open-run.ts';
import { type BenchText, readBenchTexts } from './read-texts.ts';
import { measureRounds } from './rounds.ts';
import { mean, median } from './statistics.ts';
import type { BenchBest, BenchResult, BenchRun, BenchTexts, PlainLoop } from './types.ts';

export interface BenchOptions extends Partial<Omit<VariantOptions, 'onNotice'>> {
  /** A model's name or directory. */
  readonly model: string;
  /** Refused when the model makes another number. */
  readonly dimensions?: number | undefined;
  /** A file of texts; the example corpus of the repository unless said. */
  readonly texts?: string | undefined;
  /** Texts at most (1000): the first of the file. */
  readonly limit?: number | undefined;
  /** How often everything has its turn (5). */
  readonly rounds?: number | undefined;
  /** Texts of an inference batch at most. */
  readonly batchSize?: number | undefined;
  /** Where calibrations are kept; `~/.cache/reembed` unless said. */
  readonly cacheDir?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

const TEXTS = 1000;
const ROUNDS = 5;

/** What is open during a bench; closed as it was opened, whatever happens. */
interface Bed {
  readonly opened: OpenRun[];
  loop: ArrivalOrder | undefined;
}

/**
 * Measures a model on this machine with the user's texts: throughput by precision, device and token budget, the latency
 * of a query, the event loop's delay, memory, the share of the machine's GEMM limit, and with `compare` every precision
 * and device that is here, a plain loop beside them, and what each precision costs in quality. The token budgets that
 * it finds are kept for the next start.
 * @throws ConfigError for unusable texts, ModelError for an unusable model; the signal's reason when it aborts.
 */
export async function bench(request: BenchOptions): Promise<BenchResult> {
  const options = { ...request, ...variantOptions(request), signal: signalOf(request) };
  const source = options.texts ?? defaultTexts();
  const texts = await readBenchTexts(source, options.limit ?? TEXTS);
  const { variants, notMeasured } = await findVariants(options.model, options);
  const bed: Bed = { opened: [], loop: undefined };
  try {
    for (const variant of variants) {
      options.signal.throwIfAborted();
      const { model: name, dimensions, batchSize, cacheDir, signal } = options;
      const run = await openRun(variant, { name, dimensions, texts, batchSize, cacheDir, signal });
      bed.opened.push(run);
      options.onProgress?.({ kind: 'notice', message: openedText(run) });
    }
    return await measure(bed, texts, source, options, notMeasured);
  } finally {
    for (const run of bed.opened) await run.close();
    await bed.loop?.close();
  }
}

function variantOptions(request: BenchOptions): VariantOptions {
  const { compare = false, device = 'auto', dtype, deviceId, gpuMemory, threads, modelsDir, onProgress } = request;
  const onNotice = (message: string): void => onProgress?.({ kind: 'notice', message });
  return { compare, device, dtype, deviceId, gpuMemory, threads, modelsDir, onNotice };
}

/** A signal of our own: every waiting batch listens to it. */
function signalOf({ signal }: BenchOptions): AbortSignal {
  const own = AbortSignal.any(signal === undefined ? [] : [signal]);
  setMaxListeners(0, own);
  return own;
}

async function measure(
  bed: Bed,
  texts: readonly BenchText[],
  source: string,
  options: BenchOptions & { readonly signal: AbortSignal },
  notMeasured: readonly string[],
): Promise<BenchResult> {
  const { rounds = ROUNDS, compare, signal, onProgress } = options;
  const { opened } = bed;
  const [first] = opened;
  if (first === undefined) throw new RangeError('a bench needs something to measure');
  const onCpu = opened.find(({ model }) => model.facts.device === 'cpu');
  const threads = onCpu?.model.pool.threads ?? 1;
  if (compare && onCpu !== undefined) bed.loop = await openArrivalOrder(onCpu.model, threads);
  const tokenized = await first.model.tokenizer.tokenize(texts.map(({ text }) => prefixed(first, text)));
  const lengths = tokenized.map(({ ids }) => ids.length);
  const measured = await measureRounds({
    opened,
    loop: bed.loop,
    texts: texts.map(({ text }) => text),
    lengths,
    rounds,
    signal,
    onRound: (round) => onProgress?.({ kind: 'notice', message: `Round ${round} of ${rounds}` }),
  });
  const plainLoop: PlainLoop | null =
    measured.loop === undefined || onCpu === undefined
      ? null
      : { dtype: onCpu.model.files.dtype, threads, batchTexts: PLAIN_BATCH, ...measured.loop };
  const { files, facts } = first.model;
  return {
    machine: describeMachine(facts.runtime),
    model: { name: files.name, directory: files.directory, dimensions: facts.dimensions },
    texts: {
      ...describeTexts(texts, lengths, source),
      truncated: tokenized.filter(({ truncated }) => truncated).length,
    },
    rounds,
    runs: measured.runs,
    plainLoop,
    quality: compare ? await measureQuality(opened, texts, signal) : null,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    notMeasured,
    best: bestOf(measured.runs),
  };
}

function prefixed({ model }: OpenRun, text: string): string {
  return model.config.prefixes.document + text;
}

function describeTexts(
  texts: readonly BenchText[],
  lengths: readonly number[],
  source: string,
): Omit<BenchTexts, 'truncated'> {
  return {
    source: basename(source),
    count: texts.length,
    withTitle: texts.filter(({ title }) => title !== undefined).length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    meanTokens: mean(lengths),
    medianTokens: median(lengths),
  };
}

function bestOf(runs: readonly BenchRun[]): BenchBest {
  const best = runs.reduce((a, b) => (b.textsPerSecond.median > a.textsPerSecond.median ? b : a));
  const { dtype, device, threads, budget, textsPerSecond, tokensPerSecond } = best;
  return {
    dtype,
    device,
    threads,
    budget,
    textsPerSecond: textsPerSecond.median,
    tokensPerSecond: tokensPerSecond.median,
  };
}

function openedText({ model: { files, facts, device, pool }, calibration }: OpenRun): string {
  const threads = `${pool.threads} ${pool.threads === 1 ? 'thread' : 'threads'}`;
  const because = facts.note === undefined ? '' : `; ${facts.note}`;
  return `${files.dtype} on ${device}, ${threads}: ${calibration.budget} tokens a batch are fastest${because}`;
}
