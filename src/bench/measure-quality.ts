import type { Dtype } from '../config/types.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { OpenRun } from './open-run.ts';
import { type CorpusVectors, compareVectors } from './quality.ts';
import type { BenchText } from './read-texts.ts';
import type { BenchQuality, QualityRow } from './types.ts';

const BEST_FIRST: readonly Dtype[] = ['fp32', 'fp16', 'int8'];

/**
 * What each precision costs on these texts, against the best one there is, and how well each finds a text by its title,
 * the reference too. Null with a single run: nothing to compare.
 */
export async function measureQuality(
  opened: readonly OpenRun[],
  texts: readonly BenchText[],
  signal: AbortSignal | undefined,
): Promise<BenchQuality | null> {
  const [reference] = [...opened].sort((a, b) => rank(a) - rank(b));
  if (reference === undefined || opened.length < 2) return null;
  const expected = await vectorsOf(reference.provider, texts, signal);
  const rows: QualityRow[] = [];
  for (const run of opened) {
    const { files, device } = run.model;
    const vectors = run === reference ? expected : await vectorsOf(run.provider, texts, signal);
    rows.push({ dtype: files.dtype, device, quality: await compareVectors(vectors, expected, signal) });
  }
  return { reference: reference.model.files.dtype, rows };
}

/** The best precision, and of that the CPU. */
function rank({ model: { files, facts } }: OpenRun): number {
  return 2 * BEST_FIRST.indexOf(files.dtype) + (facts.device === 'cpu' ? 0 : 1);
}

async function vectorsOf(
  provider: EmbeddingProvider,
  texts: readonly BenchText[],
  signal: AbortSignal | undefined,
): Promise<CorpusVectors> {
  const documents = await provider.embed(
    texts.map(({ text }) => text),
    { kind: 'document', signal },
  );
  const titles = texts.flatMap(({ title }, i) => (title === undefined ? [] : [{ title, i }]));
  const asked = await provider.embed(
    titles.map(({ title }) => title),
    { kind: 'query', signal },
  );
  const queries: (Float32Array | undefined)[] = new Array(texts.length).fill(undefined);
  for (const [position, { i }] of titles.entries()) queries[i] = asked.vectors[position];
  return { documents: documents.vectors, queries };
}
