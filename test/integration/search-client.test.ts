import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSearch } from '../../src/search/client/create-search.ts';
import type { SearchMode } from '../../src/search/client/types.ts';
import { scoreQuery } from '../../src/search/recall.ts';
import { setRoutePercent } from '../../src/state/route.ts';
import { type ManualBed, openManualBed } from '../helpers/manual-bed.ts';

const ROWS = 240;
/** Recall@10 over 60 titles that a mode may lie below the old column's: three titles, where the mode's own noise is two or so. */
const ALLOWANCE = 0.05;

let bed: ManualBed;
beforeAll(async () => {
  bed = await openManualBed(ROWS);
  await bed.fill();
});
afterAll(() => bed.close());

function search(options: Partial<Parameters<typeof createSearch>[1]> = {}) {
  const { definition } = bed.context();
  return createSearch(bed.chain.db, { migration: definition, encoders: { old: bed.old, new: bed.new }, ...options });
}

describe('a search while the backfill is on its way', () => {
  it('finds at every percentage what the old column finds, and every row', async () => {
    const client = search();
    const titles = [...new Set(bed.passages.map(({ title }) => title))].slice(0, 60);
    await bed.new.encodeTexts(titles, { kind: 'query' });
    const recall = async (mode: SearchMode): Promise<number> => {
      let sum = 0;
      for (const title of titles) {
        const { hits } = await client.query(title, { mode });
        const relevant = bed.passages.filter((passage) => passage.title === title).map(({ key }) => [key]);
        sum += scoreQuery(
          hits.map(({ key }) => key),
          relevant,
        ).recall;
      }
      return sum / titles.length;
    };
    const old = await recall('old');
    await setRoutePercent(bed.chain.db, 'reembed', 'segments-hash', 100);
    for (const percent of [100, 75, 50, 25, 0]) {
      await bed.unfill(`id % 4 >= ${percent / 25}`);
      for (const mode of ['route', 'merge'] as const) {
        const got = await recall(mode);
        expect(got, `${mode} at ${percent}%`).toBeGreaterThanOrEqual(old - ALLOWANCE);
      }
      const lost: string[] = [];
      for (const { key, text } of bed.passages.filter((_, i) => i % 7 === 0)) {
        for (const mode of ['route', 'merge'] as const) {
          const { hits } = await client.query(text, { mode });
          if (!hits.some((hit) => hit.key[0] === key)) lost.push(`${mode} ${percent}% ${key}`);
        }
      }
      expect(lost).toEqual([]);
    }
  });
});
