import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { checksumOf, type Watched, wrongVectors } from '../helpers/oracle.ts';

interface KeyCase {
  readonly title: string;
  readonly id: string;
  /** Column definitions in table order. */
  readonly columns: string;
  /** Of the primary key. */
  readonly key: string;
  /** Values in table order for row `i`, as SQL. */
  readonly values: string;
}

const ROWS = 64;
/** Values that break whoever builds an array literal, a cursor or JSON by hand. */
const NASTY = `CASE i % 12 WHEN 0 THEN '"' WHEN 1 THEN '\\' WHEN 2 THEN '{a,b}' WHEN 3 THEN ',' WHEN 4 THEN '''' WHEN 5 THEN '😀'
  WHEN 6 THEN 'NULL' WHEN 7 THEN E'\\n\\t' WHEN 8 THEN ' ' WHEN 9 THEN '\\"' WHEN 10 THEN 'Ä' ELSE '' END || i`;

const CASES: readonly KeyCase[] = [
  { title: 'integer, negative ones too', id: 'key-int', columns: 'a int', key: 'a', values: 'i * 7 - 200' },
  {
    title: 'bigint beyond 2^53',
    id: 'key-bigint',
    columns: 'a bigint',
    key: 'a',
    values: '9007199254740993 + (i - 32) * 2',
  },
  { title: 'uuid', id: 'key-uuid', columns: 'a uuid', key: 'a', values: 'md5(i::text)::uuid' },
  {
    title: 'text with quotes, backslashes, commas, braces, emoji and line breaks',
    id: 'key-text',
    columns: 'a text',
    key: 'a',
    values: NASTY,
  },
  { title: 'text in the collation "C"', id: 'key-collate', columns: 'a text COLLATE "C"', key: 'a', values: NASTY },
  {
    title: 'composite of integer and text',
    id: 'key-two',
    columns: 'a int, b text',
    key: 'a, b',
    values: `i % 5, ${NASTY}`,
  },
  {
    title: 'composite of three, in another order than the table',
    id: 'key-three',
    columns: 'c varchar(40), filler int, a date, b smallint',
    key: 'a, b, c',
    values: `${NASTY}, 1, DATE '2024-02-28' + i % 3, (i % 4)::smallint`,
  },
  {
    title: 'timestamp with microseconds',
    id: 'key-time',
    columns: 'a timestamptz',
    key: 'a',
    values: `TIMESTAMPTZ '2024-10-27 00:59:59.999998+00' + i * INTERVAL '1 microsecond'`,
  },
  {
    title: 'numeric that no double holds, and a double',
    id: 'key-numeric',
    columns: 'a numeric, b float8',
    key: 'a, b',
    values: `(i % 9) + 0.12345678901234567890123, i / 3.0`,
  },
  {
    title: 'enum and domain in a schema that needs quoting',
    id: 'key-types',
    columns: 'a "Odd Types"."Kind", b "Odd Types"."Name, short"',
    key: 'b, a',
    values: `(ARRAY['new "one"', 'old, one'])[1 + i % 2]::"Odd Types"."Kind", ${NASTY}`,
  },
  { title: 'char(n), which pads', id: 'key-char', columns: 'a char(12)', key: 'a', values: `'k' || i` },
];

describe.each(CASES)('a key of $title', (key) => {
  const table = key.id.replace('-', '_');
  const watched: Watched = { table, key: `(${key.key})`.replace(/^\((\w+)\)$/, '$1'), text: 'text' };
  const context = () =>
    chain.context({ id: key.id, table }, { batchRows: 7, backupDir: backups, concurrency: 2, maxQuarantined: 0 });

  beforeAll(async () => {
    await chain.db.query(
      `CREATE TABLE ${table} (${key.columns}, text text, embedding vector(8), PRIMARY KEY (${key.key}))`,
    );
    await insert(1, ROWS);
    await chain.db.query(`CREATE INDEX ${table}_embedding_idx ON ${table} USING hnsw (embedding vector_cosine_ops)`);
  });

  async function insert(from: number, to: number): Promise<void> {
    await chain.db.query(
      `INSERT INTO ${table} SELECT ${key.values}, 'row ' || i || ' of ' || md5(i::text),
         (SELECT array_agg(i + n + random()) FROM generate_series(1, 8) n)::vector
       FROM generate_series(${from}, ${to}) i`,
    );
  }

  it('embeds every row once, through many windows, with edits, inserts and deletes between', async () => {
    await expand(context());
    await fill(context());
    await chain.db.query(`UPDATE ${table} SET text = text || ' edited' WHERE text LIKE 'row 1%'`);
    await chain.db.query(`DELETE FROM ${table} WHERE text LIKE 'row 2 %'`);
    await insert(ROWS + 1, ROWS + 5);
    const again = await fill(context());
    expect(again.rows).toMatchObject({ total: ROWS + 4, done: ROWS + 4, pending: 0 });
    expect(again.run?.written).toBeLessThan(ROWS / 2);
    expect(await wrongVectors(chain.db, watched, 'embedding_384')).toEqual([]);
  });

  it('swaps, goes back byte for byte, and swaps again', async () => {
    const before = await checksumOf(chain.db, watched, 'text, embedding');
    await cutOver(context());
    expect(await wrongVectors(chain.db, watched, 'embedding')).toEqual([]);
    await undoCutOver(context());
    expect(await checksumOf(chain.db, watched, 'text, embedding')).toBe(before);
    await undoFill(context());
    await undoExpand(context());
    await expand(context());
    await fill(context());
    await cutOver(context());
    expect(await wrongVectors(chain.db, watched, 'embedding')).toEqual([]);
    expect(await checksumOf(chain.db, watched, 'text, embedding_old')).toBe(before);
  });

  it('is verified row by row, and two exchanged vectors are found by their keys', async () => {
    const options = { full: true, provider: async () => hashProvider('hash/384') };
    const sound = await verify(context(), options);
    expect(sound.checks.filter((check) => !check.ok)).toEqual([]);
    expect(sound.compared).toMatchObject({ rows: ROWS + 4, below: 0 });
    const { rows } = await chain.db.query<{ ctid: string }>(
      `SELECT ctid::text FROM ${table} ORDER BY ${key.key} LIMIT 2`,
    );
    const [first, second] = rows.map((row) => `'${row.ctid}'::tid`);
    const exchange = `UPDATE ${table} t SET embedding = o.embedding, embedding_at = t.embedding_at FROM ${table} o
      WHERE (t.ctid, o.ctid) IN ((${first}, ${second}), (${second}, ${first}))`;
    await chain.db.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
    await chain.db.query(exchange);
    await chain.db.query(`ALTER TABLE ${table} ENABLE TRIGGER USER`);
    const report = await verify(context(), options);
    expect(report.ok).toBe(false);
    expect(report.mismatches).toHaveLength(2);
    const wrong = await wrongVectors(chain.db, watched, 'embedding');
    expect(wrong).toHaveLength(2);
  });

  it('backs the old vectors up, drops them, and restores them byte for byte', async () => {
    const before = await checksumOf(chain.db, watched, 'embedding_old');
    const { backup } = await finalize(context(), { now: true });
    expect(backup).toMatchObject({ rows: ROWS + 4, column: 'embedding_old' });
    const restored = await restore(context(), { path: backup?.path ?? '' });
    expect(restored).toMatchObject({ restored: ROWS + 4, edited: 0, gone: 0, new: 0, createdColumn: true });
    expect(await checksumOf(chain.db, watched, 'embedding_old')).toBe(before);
  });
});

it('a key of an identity and a generated column, which an edit of the text changes', async () => {
  await chain.db.query(
    `CREATE TABLE key_generated (a int GENERATED ALWAYS AS IDENTITY, b text GENERATED ALWAYS AS (left(text, 6)) STORED, text text, embedding vector(8), PRIMARY KEY (a, b));
     INSERT INTO key_generated (text) SELECT i || ' words' FROM generate_series(1, ${ROWS}) i`,
  );
  const context = chain.context(
    { id: 'key-generated', table: 'key_generated', index: { kind: 'hnsw' } },
    { batchRows: 7 },
  );
  await expand(context);
  await fill(context);
  await chain.db.query(`UPDATE key_generated SET text = 'x' || text WHERE a % 3 = 0`);
  expect(await fill(context)).toMatchObject({ run: { written: 21 }, rows: { done: ROWS, pending: 0 } });
  await cutOver(context);
  expect(await wrongVectors(chain.db, { table: 'key_generated', key: 'a', text: 'text' }, 'embedding')).toEqual([]);
});

let chain: Chain;
let backups: string;

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), 'reembed-keys-'));
  chain = await openChain();
  await chain.db.query(
    `CREATE SCHEMA "Odd Types"; CREATE TYPE "Odd Types"."Kind" AS ENUM ('new "one"', 'old, one');
     CREATE DOMAIN "Odd Types"."Name, short" AS varchar(60)`,
  );
});
afterAll(async () => {
  await chain.close();
  await rm(backups, { recursive: true, force: true });
});
