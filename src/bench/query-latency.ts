import type { EmbeddingProvider } from '../providers/types.ts';
import type { BenchText } from './read-texts.ts';
import { percentile } from './statistics.ts';
import type { QueryLatency } from './types.ts';

const QUERIES = 200;
const WARM_UP = 5;
/** A slow model is asked fewer times. */
const LONGEST_MS = 10_000;
const LEAST = 20;
const WORDS = 8;

/** Times single queries, one after the other, on a model that has nothing else to do. */
export async function measureQueries(
  provider: EmbeddingProvider,
  texts: readonly BenchText[],
  signal?: AbortSignal,
): Promise<QueryLatency> {
  const queries = texts.map(queryOf);
  const ask = async (i: number): Promise<number> => {
    const start = performance.now();
    await provider.embed([queries[i % queries.length] ?? 'query'], { kind: 'query', signal });
    return performance.now() - start;
  };
  for (let i = 0; i < WARM_UP; i++) await ask(i);
  const times: number[] = [];
  for (let spent = 0; times.length < QUERIES && (spent < LONGEST_MS || times.length < LEAST); ) {
    const time = await ask(times.length);
    times.push(time);
    spent += time;
  }
  return {
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    p99: percentile(times, 0.99),
    queries: times.length,
  };
}

/** The title, else the first words: what somebody types is short. */
function queryOf({ text, title }: BenchText): string {
  return title ?? text.trim().split(/\s+/).slice(0, WORDS).join(' ');
}
