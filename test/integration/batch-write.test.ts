import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { textHash } from '../../src/backfill/text-hash.ts';
import type { SourceRow } from '../../src/backfill/types.ts';
import { type EmbeddedRow, type WriteTarget, writeBatch } from '../../src/backfill/write-batch.ts';
import { readTable, readVectorExtension } from '../../src/db/catalog.ts';
import { addTargetColumnsSql } from '../../src/sql/columns.ts';
import { provenanceOf, type VectorTarget } from '../../src/sql/target.ts';
import { createTriggerSql } from '../../src/sql/trigger.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';

const ROWS = 6;
const MODEL_ID = 7;
const NOT_ITS_HASH = textHash('a text that no row has');

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
  await chain.db.query('CREATE SCHEMA IF NOT EXISTS reembed');
});
afterAll(() => chain.close());

/** A table with a target column and the trigger, as 005 leaves it, and how to write to it. */
async function prepare(columns: string, options = ''): Promise<WriteTarget> {
  await chain.db.query('DROP TABLE IF EXISTS notes');
  await chain.db.query(`CREATE TABLE notes (${columns}) ${options}`);
  const table = await readTable(chain.db, { schema: undefined, name: 'notes' });
  const extension = await readVectorExtension(chain.db);
  const target: VectorTarget = {
    schema: table.schema,
    table: table.name,
    key: table.key,
    text: 'text',
    column: 'embedding_2',
    provenance: provenanceOf('embedding_2'),
    vectorType: 'vector',
    dimensions: 2,
    vectorSchema: extension.schema,
    stateSchema: 'reembed',
  };
  const statements = [...addTargetColumnsSql(target), ...createTriggerSql(target, 'notes', { always: false })];
  for (const statement of statements) await chain.db.query(statement);
  return { target, modelId: MODEL_ID, vectorOid: extension.vectorOid, fence: undefined };
}

async function read({ target }: WriteTarget): Promise<SourceRow[]> {
  const keys = target.key.map(({ name }) => `"${name}"::text`).join(', ');
  const { rows } = await chain.db.query<SourceRow>(
    `SELECT pg_catalog.json_build_array(${keys}) AS key, text, xmin::text AS version FROM notes`,
  );
  return rows;
}

function embed(rows: readonly SourceRow[]): EmbeddedRow[] {
  return rows.map(({ key, text, version }) => ({
    key,
    hash: textHash(text),
    vector: Float32Array.of(text.length, 1),
    version,
  }));
}

async function writtenIds(): Promise<number[]> {
  const { rows } = await chain.db.query<{ id: number }>(
    `SELECT id FROM notes WHERE embedding_2_model = ${MODEL_ID} ORDER BY id`,
  );
  return rows.map((row) => row.id);
}

describe.each([
  ['one key column', 'id int PRIMARY KEY, part int NOT NULL, text text, views int'],
  ['two key columns', 'id int, part int, text text, views int, PRIMARY KEY (part, id)'],
])('a batch whose rows changed since they were read (%s)', (_, columns) => {
  let to: WriteTarget;
  let batch: EmbeddedRow[];
  beforeEach(async () => {
    to = await prepare(columns);
    await chain.db.query(`INSERT INTO notes SELECT i, i % 2, 'text ' || i, 0 FROM generate_series(1, ${ROWS}) i`);
    batch = embed(await read(to));
  });

  it('leaves out what was edited or deleted and writes what was only touched elsewhere', async () => {
    await chain.db.query(`UPDATE notes SET text = 'edited' WHERE id = 2; DELETE FROM notes WHERE id = 3`);
    await chain.db.query('UPDATE notes SET views = 1 WHERE id = 4');
    expect(await writeBatch(chain.db, to, batch)).toBe(4);
    expect(await writtenIds()).toEqual([1, 4, 5, 6]);
  });

  it('writes a row whose text was edited and put back', async () => {
    await chain.db.query(`UPDATE notes SET text = 'edited' WHERE id = 1`);
    await chain.db.query(`UPDATE notes SET text = 'text 1' WHERE id = 1`);
    expect(await writeBatch(chain.db, to, batch)).toBe(ROWS);
  });

  it('goes by the hash where the batch does not say which versions were read', async () => {
    const unversioned = batch.map((row, i) => ({ ...row, version: undefined, ...(i === 0 && { hash: NOT_ITS_HASH }) }));
    expect(await writeBatch(chain.db, to, unversioned)).toBe(ROWS - 1);
  });

  it('writes no row twice, and keeps the hash of what was embedded beside the vector', async () => {
    expect(await writeBatch(chain.db, to, batch)).toBe(ROWS);
    expect(await writeBatch(chain.db, to, batch)).toBe(0);
    const { rows } = await chain.db.query<{ text: string; hash: Buffer; vector: string }>(
      'SELECT text, embedding_2_hash AS hash, embedding_2::text AS vector FROM notes',
    );
    expect(rows).toHaveLength(ROWS);
    for (const { text, hash, vector } of rows) {
      expect(hash).toEqual(textHash(text));
      expect(vector).toBe(`[${text.length},1]`);
    }
  });
});

describeOnServer('a batch beside a row that the application holds', () => {
  it.each([
    ['one key column', 'id int PRIMARY KEY, text text', ''],
    // The first rows of two partitions have the same place in each.
    ['a partitioned table', 'id int PRIMARY KEY, text text', 'PARTITION BY RANGE (id)'],
    [
      'a partitioned table with two key columns',
      'id int, b int DEFAULT 0, text text, PRIMARY KEY (id, b)',
      'PARTITION BY RANGE (id)',
    ],
  ])('writes the others and does not wait for it (%s)', async (_, columns, options) => {
    const to = await prepare(columns, options);
    if (options !== '') {
      await chain.db.query(
        'CREATE TABLE low PARTITION OF notes FOR VALUES FROM (0) TO (4); CREATE TABLE high PARTITION OF notes FOR VALUES FROM (4) TO (100)',
      );
    }
    await chain.db.query(`INSERT INTO notes (id, text) SELECT i, 'text ' || i FROM generate_series(1, ${ROWS}) i`);
    const batch = embed(await read(to));
    const application = await chain.db.openSession();
    try {
      await application.query('BEGIN');
      await application.query('SELECT FROM notes WHERE id = 4 FOR UPDATE');
      // A statement that waited would fail by this.
      const written = await chain.db.transaction((tx) => writeBatch(tx, to, batch), { lockTimeoutMs: 1_000 });
      expect(written).toBe(ROWS - 1);
      await application.query('COMMIT');
    } finally {
      await application.close();
    }
    expect(await writtenIds()).toEqual([1, 2, 3, 5, 6]);
    expect(await writeBatch(chain.db, to, batch)).toBe(1);
  });
});
