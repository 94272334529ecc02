import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSearch } from '../../src/search/client/create-search.ts';
import type { SearchClientOptions, SearchMode } from '../../src/search/client/types.ts';
import { scoreQuery } from '../../src/search/recall.ts';
import { where } from '../../src/sql/filter.ts';
import { setRoute } from '../../src/steps/route.ts';
import { type ManualBed, openManualBed } from '../helpers/manual-bed.ts';

const ROWS = 96;
const TITLES = 24;
/** Recall@10 that a mode may lie below the old column's over 24 titles: two titles, as a fusion moves one or two either way. */
const ALLOWANCE = 0.085;

let bed: ManualBed;
beforeAll(async () => {
  bed = await openManualBed(ROWS);
  await bed.fill();
  await setRoute(bed.context(), 100);
});
afterAll(() => bed.close());

function search(options: Partial<SearchClientOptions> = {}) {
  const { definition } = bed.context();
  return createSearch(bed.chain.db, { migration: definition, encoders: { old: bed.old, new: bed.new }, ...options });
}

/** The first rows in an order that has nothing to do with their texts are embedded, the others wait. */
async function unfillTo(percent: number): Promise<void> {
  await bed.unfill(`id % 4 >= ${percent / 25}`);
}

function isEmbedded(key: string, percent: number): boolean {
  return Number(key) % 4 < percent / 25;
}

describe('a search of real text while the backfill is on its way', () => {
  it('finds at every percentage what the old column finds, and every row; each hit says whose it is', async () => {
    const client = search();
    const titles = [...new Set(bed.passages.map(({ title }) => title))].slice(0, TITLES);
    await bed.new.encodeTexts(titles, { kind: 'query' });
    const recall = async (mode: SearchMode): Promise<number> => {
      let sum = 0;
      for (const title of titles) {
        const { hits } = await client.query(title, { mode });
        const relevant = bed.passages.filter((passage) => passage.title === title).map(({ key }) => [key]);
        const keys = hits.map(({ key }) => key);
        sum += scoreQuery(keys, relevant).recall;
      }
      return sum / titles.length;
    };
    const old = await recall('old');
    expect(old).toBeGreaterThan(0.5);
    for (const percent of [100, 75, 50, 25, 0]) {
      await unfillTo(percent);
      for (const mode of ['route', 'merge'] as const) {
        expect(await recall(mode), `${mode} at ${percent}%`).toBeGreaterThanOrEqual(old - ALLOWANCE);
      }
      const lost: string[] = [];
      for (const { key, text } of bed.passages.filter((_, i) => i % 16 === 0)) {
        const { hits, served } = await client.query(text, { mode: 'route' });
        const hit = hits.find((candidate) => candidate.key[0] === key);
        expect(served).toBe('new');
        if (hit?.from !== (isEmbedded(key, percent) ? 'new' : 'old')) lost.push(`${percent}% ${key} ${hit?.from}`);
        const merged = await client.query(text, { mode: 'merge' });
        if (!merged.hits.some((candidate) => candidate.key[0] === key)) lost.push(`merge ${percent}% ${key}`);
      }
      expect(lost).toEqual([]);
    }
  });

  it('finds waiting rows by their words where the old model is not configured', async () => {
    await bed.fill();
    await unfillTo(50);
    const client = search({ encoders: { new: bed.new } });
    for (const { key, text } of bed.passages.slice(0, 8)) {
      const { hits, asked } = await client.query(text.slice(0, 300), { mode: 'new' });
      expect(hits.find((hit) => hit.key[0] === key)?.from).toBe(isEmbedded(key, 50) ? 'new' : 'keyword');
      expect(asked.map(({ source }) => source)).toEqual(['new', 'keyword']);
    }
    await expect(client.query('views', { mode: 'old' })).rejects.toMatchObject({
      code: 'no_provider',
      hint: expect.stringContaining('"from" (or EMBEDDING_OLD_MODEL)'),
    });
  });

  it('hybrid ranks by meaning and words; words alone answer when the model cannot', async () => {
    const [passage] = bed.passages;
    const question = passage?.text ?? '';
    const { hits } = await search().query(question, { mode: 'hybrid', limit: 5 });
    expect(hits[0]).toMatchObject({ key: [passage?.key], found: { old: { rank: 1 }, keyword: { rank: 1 } } });
    const down = async (): Promise<never> => Promise.reject(new Error('the service is down'));
    const client = search({ encoders: { old: down, new: down } });
    const answer = await client.query(question, { mode: 'hybrid', limit: 5 });
    expect(answer).toMatchObject({ served: 'keyword', failure: 'the service is down' });
    expect(answer.hits[0]?.key).toEqual([passage?.key]);
    await expect(client.query(question)).rejects.toThrow('the service is down');
  });

  it('a filter holds for every hit of every mode', async () => {
    const [passage] = bed.passages;
    const filter = where`id % ${5}::bigint = ${3} AND length(text) > ${100}`;
    for (const mode of ['active', 'new', 'merge', 'hybrid', 'keyword'] as const) {
      const { hits } = await search().query(passage?.text ?? '', { mode, filter });
      expect(hits.length, mode).toBeGreaterThan(3);
      expect(hits.filter(({ key }) => Number(key[0]) % 5 !== 3)).toEqual([]);
    }
  });

  it('a reranker reads more hits than are returned, and decides their order; a listener hears of the answer', async () => {
    const heard: unknown[] = [];
    const byLength = {
      model: { provider: 'local', name: 'length', dtype: null, files: {} } as const,
      score: async (_: string, texts: readonly string[]) => Float32Array.from(texts, (text) => text.length),
      close: async () => undefined,
    };
    const client = search({
      reranker: byLength,
      rerank: { topK: ROWS, returnTopK: 4 },
      onServed: ({ side, limit, keys }) => {
        heard.push({ side, limit, keys });
        throw new Error('nobody is to hear of this');
      },
    });
    const { hits } = await client.query('views');
    const longest = [...bed.passages].sort((a, b) => b.text.length - a.text.length).slice(0, 4);
    expect(hits.map(({ key }) => key[0])).toEqual(longest.map(({ key }) => key));
    expect(heard).toEqual([{ side: 'old', limit: 4, keys: hits.map(({ key }) => key) }]);
  });
});
