import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { DoctorOptions, DoctorReport } from '../../src/inspect/doctor.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { byCode, checkNamed, examine, findingsBut } from '../helpers/doctor-bed.ts';
import { everythingIn } from '../helpers/refusal.ts';

const BUNDLED = { provider: 'local', model: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384 } as const;

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments, caches CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE');
  await makeSegments(chain.db, { rows: 60 });
});

async function behindTheTrigger(sql: string): Promise<void> {
  await chain.db.query(`ALTER TABLE segments DISABLE TRIGGER USER; ${sql}; ALTER TABLE segments ENABLE TRIGGER USER`);
}

const vectorOf = (value: number, dimensions: number): string =>
  `array_fill(${value}::real, ARRAY[${dimensions}])::vector`;

describe('columns of the old size', () => {
  it('are named wherever they are: caches, arrays, domains, materialized views; before the swap and after it', async () => {
    await chain.db.query(
      `CREATE TABLE caches (id int PRIMARY KEY, plain vector(16), half halfvec(16), many vector(16)[], other vector(17), loose vector);
       CREATE DOMAIN passage_vector AS vector(16); ALTER TABLE caches ADD COLUMN named passage_vector;
       CREATE MATERIALIZED VIEW digest AS SELECT plain FROM caches`,
    );
    const names = 'public.caches.half, public.caches.many, public.caches.named, public.caches.plain';
    const expected = `Other columns have 16 dimensions too: ${names}, public.digest.plain (materialized view).`;
    try {
      const before = await examine(chain);
      expect(findingsBut(before)).toMatchObject([{ code: 'same_dimensions', severity: 'warning', message: expected }]);
      expect(checkNamed(before, 'vector columns')).toMatchObject({
        result: 'found',
        detail: expect.stringMatching(/^6 col/),
      });
      for (const step of [expand, fill, cutOver]) await step(chain.context());
      expect(byCode(await examine(chain)).same_dimensions?.message).toBe(expected);
    } finally {
      await chain.db.query('DROP TABLE caches CASCADE; DROP DOMAIN passage_vector');
    }
  });

  it('with a migration of their own are not named', async () => {
    await chain.db.query('ALTER TABLE segments ADD COLUMN title vector(16)');
    await expand(chain.context({ id: 'titles', column: 'title', target: 'title_384' }));
    expect(findingsBut(await examine(chain))).toEqual([]);
  });
});

describe('two models', () => {
  it('of the same size are never taken for one space', async () => {
    const from = { provider: 'hash', model: 'hash/16', dimensions: 16 } as const;
    const input: Partial<MigrationInput> = { from, model: 'hash/16', dimensions: 16, target: 'embedding_new' };
    expect(byCode(await examine(chain, { input })).same_size_models).toBeUndefined();
    const report = await examine(chain, { input: { ...input, from: { ...from, provider: 'openai', model: 'other' } } });
    const { message, why, severity } = byCode(report).same_size_models ?? {};
    expect(severity).toBe('warning');
    expect(message).toContain('(other) have 16 dimensions, as those of hash/16 have');
    expect(why).toContain('with equal dimensions Postgres does not notice');
  });

  it('are told when "from" is not of the size that is stored', async () => {
    const report = await examine(chain, { input: { from: { provider: 'hash', model: 'hash/64', dimensions: 64 } } });
    expect(byCode(report).old_model_dimensions?.message).toBe(
      '"from" says that hash/64 makes 64 dimensions, the old vectors have 16.',
    );
  });
});

describe('stored vectors', () => {
  const messages = (report: DoctorReport): Readonly<Record<string, string>> =>
    Object.fromEntries(findingsBut(report).map(({ code, severity, message }) => [code, `${severity}: ${message}`]));

  it('of the old model are warnings, with keys, the size of the sample and its seed', async () => {
    await chain.db.query(
      `UPDATE segments SET embedding = ${vectorOf(0, 16)} WHERE id IN (3, 5);
       UPDATE segments SET embedding = (SELECT embedding FROM segments WHERE id = 10) WHERE id = 11;
       UPDATE segments SET embedding = (SELECT embedding FROM segments WHERE id = 20), text = (SELECT upper(text) || ' ' FROM segments WHERE id = 20) WHERE id = 21;
       UPDATE segments SET embedding = l2_normalize(embedding) WHERE id > 40`,
    );
    const report = await examine(chain);
    expect(report).toMatchObject({ ok: true, seed: 7, full: false });
    expect(messages(report)).toEqual({
      zero_vectors: 'warning: 2 of 60 sampled vectors (seed 7) in "segments.embedding" are zero: 3, 5.',
      mixed_lengths:
        'warning: 20 of 60 sampled vectors (seed 7) in "segments.embedding" have length 1, 38 have another.',
      duplicate_vectors:
        'warning: 2 of 60 sampled vectors (seed 7) in "segments.embedding" stand under different texts with the same vector: 10, 11.',
    });
  });

  it('of different sizes in a column without declared dimensions, and of different lengths under an inner product', async () => {
    await chain.db.query(
      `DROP INDEX idx_segments_text_embedding_ivfflat; ALTER TABLE segments ALTER embedding TYPE vector;
       UPDATE segments SET embedding = '[3, 4]' WHERE id = 7`,
    );
    const found = messages(
      await examine(chain, { input: { index: { kind: 'none', distance: 'ip' } }, options: { full: true } }),
    );
    expect(found).toMatchObject({
      mixed_dimensions:
        'warning: The vectors in "segments.embedding" have different dimensions: 2, 16 (of all 60 vectors).',
      not_normalised: expect.stringMatching(
        /^warning: 60 of all 60 vectors in "segments.embedding" are not of length 1: 1, 2, 3/,
      ),
    });
  });

  it('that hold NaN are found although pgvector takes none', async () => {
    // Damage, as a broken disk or a foreign writer leaves it: bytes that are taken for a vector unread.
    const bytes = `10000000${'0000803f'.repeat(15)}0000c07f`;
    await chain.db.query(
      `CREATE CAST (bytea AS vector) WITHOUT FUNCTION; UPDATE segments SET embedding = '\\x${bytes}'::bytea::vector WHERE id = 9; DROP CAST (bytea AS vector)`,
    );
    expect(messages(await examine(chain))).toEqual({
      not_finite: 'warning: 1 of 60 sampled vectors (seed 7) in "segments.embedding" holds NaN or Infinity: 9.',
    });
  });

  it('of the new model are errors: zero, not of length 1, of several models; and the fix is the next command', async () => {
    await expand(chain.context());
    await fill(chain.context());
    await behindTheTrigger(
      `UPDATE segments SET embedding_384 = ${vectorOf(0, 384)} WHERE id = 4; UPDATE segments SET embedding_384 = ${vectorOf(1, 384)} WHERE id = 6;
       UPDATE segments SET embedding_384_model = 99 WHERE id = 8`,
    );
    const report = await examine(chain);
    expect(report.ok).toBe(false);
    expect(messages(report)).toEqual({
      zero_vectors: 'error: 1 of 60 sampled vectors (seed 7) in "segments.embedding_384" is zero: 4.',
      not_normalised: 'error: 2 of 60 sampled vectors (seed 7) in "segments.embedding_384" are not of length 1: 4, 6.',
      mixed_models:
        'warning: The vectors in "segments.embedding_384" were made by 2 different models (of 60 sampled vectors (seed 7)).',
    });
    expect(byCode(report).zero_vectors?.hint).toContain(
      'Set "embedding_384_model" to NULL in these rows and run "reembed backfill"',
    );
  });

  it('are sampled by the seed, 1,000 of more, and all of them with full', async () => {
    await chain.db.query(
      `INSERT INTO segments (text, embedding) SELECT 'more ' || i, ${vectorOf(1, 16)} * (SELECT array_fill(i::real, ARRAY[16])::vector) FROM generate_series(1, 1340) i`,
    );
    await chain.db.query(`UPDATE segments SET embedding = ${vectorOf(0, 16)} WHERE id % 7 = 0`);
    const zero = async (options: DoctorOptions): Promise<string> =>
      byCode(await examine(chain, { options })).zero_vectors?.message ?? 'none';
    const first = await zero({ seed: 1 });
    expect(first).toMatch(/^1\d\d of 1000 sampled vectors \(seed 1\)/);
    expect(await zero({ seed: 1 })).toBe(first);
    expect(await zero({ seed: 2 })).not.toBe(first.replace('seed 1', 'seed 2'));
    expect(await zero({ full: true })).toMatch(/^200 of all 1400 vectors/);
  });
});

describe('texts', () => {
  it('that are missing, empty or blank are counted', async () => {
    await chain.db.query(
      `UPDATE segments SET text = NULL WHERE id IN (1, 2); UPDATE segments SET text = '' WHERE id = 3; UPDATE segments SET text = E' \\t ' WHERE id = 4`,
    );
    const report = await examine(chain);
    expect(byCode(report).texts_missing?.message).toBe(
      '4 of 60 sampled rows (seed 7) have no text in "segments.text" (NULL in 2, empty or blank in 2): 1, 2, 3, 4.',
    );
    expect(byCode(report).texts_too_long).toBeUndefined();
  });

  it('that are longer than the model reads are named by its own tokenizer, without loading the model', async () => {
    // 300 words are more than the 256 tokens of the model, 250 of five letters are not, whatever their bytes.
    await chain.db.query(
      `UPDATE segments SET text = repeat('word ', 300) WHERE id IN (12, 13); UPDATE segments SET text = repeat('house ', 250) WHERE id = 14`,
    );
    for (const full of [false, true]) {
      const report = await examine(chain, { input: BUNDLED, options: { full, probe: false } });
      const scope = full ? 'all 60 texts' : '60 sampled texts (seed 7)';
      expect(byCode(report).texts_too_long?.message).toBe(
        `2 of ${scope} in "segments.text" are longer than the 256 tokens that ${BUNDLED.model} reads: 12, 13.`,
      );
      expect(checkNamed(report, 'provider')).toMatchObject({
        result: 'unknown',
        detail: 'it was not asked: --no-probe',
      });
    }
  });
});

it('reads only, whatever is asked of it', async () => {
  await expand(chain.context());
  const before = await everythingIn(chain.db);
  await examine(chain, { options: { full: true } });
  expect(await everythingIn(chain.db)).toEqual(before);
});

it('says of a table that is not there what else could not be looked at', async () => {
  const report = await examine(chain, { input: { table: 'nothing' } });
  expect(report.findings).toMatchObject([{ code: 'table_missing', why: 'There is nothing to migrate.' }]);
  expect(report).toMatchObject({
    ok: false,
    postgres: expect.stringMatching(/^\d/),
    pgvector: expect.stringMatching(/^0\./),
  });
  expect(checkNamed(report, 'stored vectors')).toEqual({
    name: 'stored vectors',
    result: 'unknown',
    detail: 'the table could not be read',
  });
  expect(checkNamed(report, 'provider').result).toBe('ok');
});

it('sets the state against the catalog', async () => {
  await expand(chain.context());
  await chain.db.query('ALTER TABLE segments DROP embedding_384 CASCADE');
  expect(byCode(await examine(chain)).state_mismatch?.message).toContain('column "segments.embedding_384" was dropped');
});

it('looks at a table without a key, whose rows it names by their place', async () => {
  await chain.db.query(
    `ALTER TABLE segments DROP CONSTRAINT segments_pkey; UPDATE segments SET embedding = ${vectorOf(0, 16)} WHERE id = 1`,
  );
  const found = byCode(await examine(chain));
  expect(found.no_primary_key?.severity).toBe('error');
  expect(found.zero_vectors?.message).toMatch(/is zero: \(\d+,\d+\)\.$/);
});
