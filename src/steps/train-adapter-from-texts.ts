import type { ProjectionSpace } from '../adapters/types.ts';
import { readBenchTexts } from '../bench/read-texts.ts';
import type { ModelReference, RuntimeSettings } from '../config/types.ts';
import type { OnProgress } from '../progress.ts';
import { createProvider } from '../providers/create-provider.ts';
import { providerOptions } from '../providers/provider-options.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { embedder } from './adapter/embedder.ts';
import { wantedSizes } from './adapter/sizes.ts';
import { shuffled } from './adapter/split.ts';
import { type GivenSample, trainSample } from './adapter/train-sample.ts';
import type { Sample, TrainChoices, TrainedAdapter } from './adapter/types.ts';

export interface TrainFromTextsOptions extends TrainChoices {
  /** A text a line, or JSON lines with `text` and, where somebody might ask for it so, `title`. */
  readonly textFile: string;
  readonly source: ModelReference;
  readonly target: ModelReference;
  readonly runtime: RuntimeSettings;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** Of a longer file only the beginning is read. */
const MOST_TEXTS = 1_000_000;

/**
 * The same as `trainAdapter` without a database: two models embed the texts of a file. Where texts have titles, these are asked for them; else each
 * text is asked for by itself.
 *
 * @throws ConfigError `texts_missing`, `texts_empty`, `texts_invalid`; AdapterError as `trainAdapter`; as the providers
 */
export async function trainAdapterFromTexts(options: TrainFromTextsOptions): Promise<TrainedAdapter> {
  const { runtime, signal, onProgress = () => undefined } = options;
  const dir = options.dir ?? runtime.adapters.dir;
  return withTextSample(options, (given) =>
    trainSample(given.sample, { ...options, ...given, dir, threads: runtime.threads, onProgress, signal }),
  );
}

/** Reads the texts, opens the models when they are first asked, and closes them behind `work`. */
export async function withTextSample<T>(
  options: TrainFromTextsOptions,
  work: (given: GivenSample) => Promise<T>,
): Promise<T> {
  const { textFile, runtime, signal, onProgress = () => undefined } = options;
  const sample = await readSample(options);
  const opened: Promise<EmbeddingProvider>[] = [];
  const opener = (reference: ModelReference): (() => Promise<EmbeddingProvider>) => {
    let provider: Promise<EmbeddingProvider> | undefined;
    return () => {
      provider ??= createProvider(reference, {
        ...providerOptions(runtime),
        waitsForService: true,
        onNotice: (message) => onProgress({ kind: 'notice', message }),
        onWarning: (message) => onProgress({ kind: 'warning', message }),
      });
      opened.push(provider);
      return provider;
    };
  };
  const old = embedder(opener(options.source), { onProgress, signal });
  const fresh = embedder(opener(options.target), { onProgress, signal });
  try {
    return await work({
      sample,
      where: textFile,
      old: await spaceOf(old, options.source),
      fresh: () => spaceOf(fresh, options.target),
      models: { old, fresh },
    });
  } finally {
    for (const provider of new Set(opened)) await (await provider.catch(() => undefined))?.close();
  }
}

async function readSample({ textFile, seed = 1, ...options }: TrainFromTextsOptions): Promise<Sample> {
  const found = await readBenchTexts(textFile, MOST_TEXTS);
  const distinct = [...new Map(found.map((each) => [each.text, each])).values()];
  const { samples, holdout } = wantedSizes(options);
  const hasTitles = distinct.some(({ title }) => title !== undefined);
  return {
    texts: shuffled(distinct, seed)
      .slice(0, samples + holdout)
      .map(({ text, title }) => ({
        id: undefined,
        text,
        old: undefined,
        fresh: undefined,
        item: hasTitles ? title : text,
      })),
    asked: undefined,
    source: hasTitles ? 'titles of the texts' : 'the texts themselves',
  };
}

async function spaceOf(
  model: ReturnType<typeof embedder>,
  { provider, model: name, dimensions }: ModelReference,
): Promise<ProjectionSpace> {
  const fingerprint = await model.model();
  return {
    fingerprint: { ...fingerprint },
    reference: { provider, model: name, dimensions },
    dimensions: fingerprint.dimensions,
  };
}
