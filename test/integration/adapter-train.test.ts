import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleRows } from '../../src/steps/adapter/sample-rows.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const ROWS = 1_200;

let chain: Chain;

/** Texts of 1 to 60 words, the long ones at the table's end; every tenth is a repetition, every seventh has no text, every fifth no vector. */
async function makeNotes(): Promise<void> {
  await chain.db.query(
    `CREATE TABLE "My Notes" (tenant int, "No" bigint, body text, old halfvec(8), PRIMARY KEY (tenant, "No"))`,
  );
  await chain.db.query(
    `INSERT INTO "My Notes" SELECT i % 3, i, CASE WHEN i % 7 = 0 THEN NULL WHEN i % 10 = 0 THEN 'the same' ELSE i || repeat(' word', i / 20) END,
       CASE WHEN i % 5 <> 4 THEN (SELECT array_agg(i + j)::vector(8)::halfvec(8) FROM generate_series(1, 8) j) END FROM generate_series(1, $1::int) i`,
    [ROWS],
  );
}

beforeAll(async () => {
  chain = await openChain();
  await makeNotes();
});
afterAll(() => chain.close());

describe('the sample', () => {
  const notes = () =>
    chain.context({
      id: 'notes',
      table: { schema: undefined, name: 'My Notes' },
      text: 'body',
      column: 'old',
      model: 'hash/16',
      dimensions: 16,
    });
  const draw = async (seed: number, wanted = 120) =>
    (await sampleRows(notes(), { wanted, seed, keys: [], item: undefined, fresh: undefined })).rows;

  it('is drawn evenly over the table and over the lengths of texts, by the seed', async () => {
    const rows = await draw(1);
    expect(rows).toHaveLength(120);
    const numbers = rows.map(({ text }) => Number.parseInt(text, 10)).filter((number) => !Number.isNaN(number));
    // 20 rows for each sixth of the table, which are sixths of the lengths as well; at random they would be 12 to 28.
    for (let sixth = 0; sixth < 6; sixth++) {
      const within = numbers.filter((number) => Math.floor(((number - 1) * 6) / ROWS) === sixth);
      expect(Math.abs(within.length - 20), `rows of sixth ${sixth}`).toBeLessThanOrEqual(4);
    }
    expect((await draw(1)).map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    expect((await draw(2)).map(({ id }) => id)).not.toEqual(rows.map(({ id }) => id));
  });

  it('has rows with a text and a vector only, and each text once', async () => {
    const rows = await draw(1, ROWS);
    const { rows: counted } = await chain.db.query<{ n: number }>(
      `SELECT count(DISTINCT body)::int AS n FROM "My Notes" WHERE body IS NOT NULL AND old IS NOT NULL`,
    );
    expect(rows).toHaveLength(counted[0]?.n ?? 0);
    expect(rows.filter(({ text }) => text === 'the same')).toHaveLength(1);
    for (const { id, text, old } of rows) {
      const [, number] = JSON.parse(id) as [string, string];
      if (text !== 'the same') expect(text.startsWith(number)).toBe(true);
      expect([...old]).toEqual(Array.from({ length: 8 }, (_, j) => Number(number) + j + 1));
    }
  });
});
