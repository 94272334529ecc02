import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type VerifyReport, verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, insertSegments, makeSegments, openChain } from '../helpers/chain.ts';

const ROWS = 620;
const provider = async (): Promise<EmbeddingProvider> => hashProvider('hash/384');

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

/** A filled table; what the trigger would notice is done behind its back where a test says so. */
beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE');
  await chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE');
  await makeSegments(chain.db, { rows: ROWS });
  await expand(chain.context());
  await fill(chain.context());
});

async function behindTheTrigger(sql: string): Promise<void> {
  await chain.db.query(`ALTER TABLE segments DISABLE TRIGGER USER; ${sql}; ALTER TABLE segments ENABLE TRIGGER USER`);
}

function check(report: VerifyReport, name: string) {
  return report.checks.find((candidate) => candidate.name === name) ?? { name, ok: undefined, detail: 'not there' };
}

function failed(report: VerifyReport): string[] {
  return report.checks.filter((candidate) => !candidate.ok).map((candidate) => candidate.name);
}

describe('a sound migration', () => {
  it('passes before the swap and after it', async () => {
    const before = await verify(chain.context(), { provider });
    expect(failed(before)).toEqual([]);
    expect(before).toMatchObject({ ok: true, column: 'embedding_384', rows: { total: ROWS, done: ROWS, pending: 0 } });
    expect(before.compared).toMatchObject({ rows: 200, below: 0 });
    await cutOver(chain.context());
    const after = await verify(chain.context(), { provider, full: true });
    expect(failed(after)).toEqual([]);
    expect(after).toMatchObject({ ok: true, column: 'embedding', full: true, compared: { rows: ROWS } });
    expect(check(after, 'indexes').detail).toContain('idx_segments_text_embedding_ivfflat (ivfflat, cosine)');
  });

  it('counts rows that the application wrote after the swap, and compares them like all others', async () => {
    await cutOver(chain.context());
    const { vectors } = await hashProvider('hash/384').embed(['written by the application'], { kind: 'document' });
    await chain.db.query(`INSERT INTO segments (text, embedding) VALUES ('written by the application', $1)`, [
      `[${vectors[0]?.join(',')}]`,
    ]);
    const report = await verify(chain.context(), { provider, full: true });
    expect(failed(report)).toEqual([]);
    expect(report.compared.rows).toBe(ROWS + 1);
    expect(check(report, 'provenance').detail).toContain('1 written by the application');
  });

  it('does not open the model when there is nothing to compare', async () => {
    await chain.db.query('DELETE FROM segments');
    const report = await verify(chain.context(), { provider: () => Promise.reject(new Error('opened')) });
    expect(report.ok).toBe(true);
  });
});

describe('what is wrong is found', () => {
  it('two exchanged vectors, both keys named, each with the row that its vector is of', async () => {
    await behindTheTrigger(
      `UPDATE segments s SET embedding_384 = o.embedding_384 FROM segments o WHERE (s.id, o.id) IN ((17, 301), (301, 17))`,
    );
    const report = await verify(chain.context(), { provider, full: true });
    expect(failed(report)).toEqual(['embedded again']);
    expect(report.mismatches).toMatchObject([
      { key: ['17'], vectorOf: ['301'] },
      { key: ['301'], vectorOf: ['17'] },
    ]);
    expect(check(report, 'embedded again').detail).toMatch(/2 below it: 17, 301$/);
  });

  it('a missing row', async () => {
    await insertSegments(chain.db, 1, 16);
    const report = await verify(chain.context(), { provider });
    expect(failed(report)).toEqual(['completeness']);
    expect(check(report, 'completeness').detail).toBe(`${ROWS} of ${ROWS + 1} rows have a vector, 1 are missing`);
  });

  it('a zero vector, by key', async () => {
    await behindTheTrigger(
      `UPDATE segments SET embedding_384 = array_fill(0, ARRAY[384])::real[]::vector WHERE id = 44`,
    );
    const report = await verify(chain.context(), { provider, full: true });
    expect(failed(report)).toEqual(['zero vectors', 'norms', 'embedded again']);
    expect(check(report, 'zero vectors').detail).toBe('1: 44');
  });

  it('vectors that are not of length 1 although the model normalises', async () => {
    await behindTheTrigger(
      `UPDATE segments SET embedding_384 = (SELECT array_agg(v * 3 ORDER BY n) FROM unnest(embedding_384::real[]) WITH ORDINALITY u(v, n))::vector WHERE id = 9`,
    );
    const report = await verify(chain.context(), { provider, full: true });
    // The direction is right: only the length tells.
    expect(failed(report)).toEqual(['norms']);
    expect(check(report, 'norms').detail).toContain('max 3; the model normalises, 1 are not of length 1: 9');
  });

  it('a text that was changed past the trigger', async () => {
    await behindTheTrigger(`UPDATE segments SET text = 'another text altogether' WHERE id = 123`);
    const report = await verify(chain.context(), { provider, full: true });
    expect(failed(report)).toEqual(['text hashes', 'embedded again']);
    expect(check(report, 'text hashes').detail).toContain('1 text is not the one that was embedded: 123');
    expect(report.mismatches.map((mismatch) => mismatch.key)).toEqual([['123']]);
  });

  it('vectors of another model', async () => {
    await behindTheTrigger('UPDATE segments SET embedding_384_model = embedding_384_model + 7 WHERE id <= 3');
    const report = await verify(chain.context(), { provider });
    expect(failed(report)).toEqual(['completeness', 'provenance']);
    expect(check(report, 'provenance').detail).toContain('3 by another model');
  });

  it('a model that is not the one recorded', async () => {
    const other = async (): Promise<EmbeddingProvider> => {
      const hash = hashProvider('hash/384');
      return { ...hash, model: { ...hash.model, revision: '2' } };
    };
    const report = await verify(chain.context(), { provider: other });
    expect(failed(report)).toEqual(['model']);
    expect(check(report, 'model').detail).toContain('revision is 2, was 1');
  });

  it('an index that is gone after the swap', async () => {
    await cutOver(chain.context());
    await chain.db.query('DROP INDEX idx_segments_text_embedding_ivfflat');
    const report = await verify(chain.context(), { provider });
    expect(failed(report)).toEqual(['indexes']);
    expect(check(report, 'indexes').detail).toBe('idx_segments_text_embedding_ivfflat is gone');
  });
});

describe('the sample', () => {
  it('is the same for the same seed and another for another', async () => {
    await behindTheTrigger(
      `UPDATE segments s SET embedding_384 = o.embedding_384 FROM segments o WHERE o.id = s.id % ${ROWS} + 1`,
    );
    const keys = async (seed: number) =>
      (await verify(chain.context(), { provider, seed })).mismatches.map((m) => m.key);
    const first = await keys(1);
    expect(first.length).toBe(100);
    expect(await keys(1)).toEqual(first);
    expect(await keys(2)).not.toEqual(first);
  });

  it('is never smaller than 200 rows, and as large as asked for', async () => {
    expect((await verify(chain.context(), { provider, sample: 5 })).compared.rows).toBe(200);
    expect((await verify(chain.context(), { provider, sample: 400 })).compared.rows).toBe(400);
  });
});

it('works on halfvec and a composite key', async () => {
  await chain.db.query(
    `DROP TABLE segments; DROP SCHEMA reembed CASCADE;
     CREATE TABLE segments (doc text, n int, text text, embedding vector(4), PRIMARY KEY (doc, n));
     INSERT INTO segments SELECT 'd' || i % 7, i, 'words of row ' || i, '[1,2,3,4]' FROM generate_series(1, 700) i`,
  );
  const input = { vectorType: 'halfvec', index: { kind: 'hnsw' } } as const;
  await expand(chain.context(input));
  await fill(chain.context(input));
  expect(failed(await verify(chain.context(input), { provider, full: true }))).toEqual([]);
  await behindTheTrigger(
    `UPDATE segments s SET embedding_384 = o.embedding_384 FROM segments o WHERE s.n = 10 AND o.n = 20`,
  );
  const report = await verify(chain.context(input), { provider, full: true });
  expect(report.mismatches.map((mismatch) => mismatch.key)).toEqual([['d3', '10']]);
  expect(check(report, 'embedded again').detail).toContain('(d3, 10)');
});
