import pg from 'pg';
import { textHash } from '../src/backfill/text-hash.ts';
import { type EmbeddedRow, writeBatch } from '../src/backfill/write-batch.ts';
import { readTable, readVectorExtension } from '../src/db/catalog.ts';
import type { TableInfo } from '../src/db/catalog-types.ts';
import type { Database } from '../src/db/types.ts';
import { addTargetColumnsSql } from '../src/sql/columns.ts';
import { provenanceOf, type VectorTarget } from '../src/sql/target.ts';
import type { TextSource } from '../src/sql/text-source.ts';
import { createTriggerSql } from '../src/sql/trigger.ts';
import { encodeVectorArray } from '../src/vector/binary.ts';
import { copyIn, encodeCopyRows } from './copy-in.ts';

export const DIMENSIONS = 384;
export const BATCH_ROWS = 1_000;
/** About the median passage of a documentation. */
export const TEXT_BYTES = 330;
export const TABLE = 'reembed_bench_write';
export const STATE = 'reembed_bench';

export interface Prepared {
  readonly db: Database;
  readonly target: VectorTarget;
  readonly vectorOid: number;
}

/** Writes a batch, all of it, or throws. */
type Write = (prepared: Prepared, batch: readonly EmbeddedRow[]) => Promise<void>;

export interface WritePath {
  readonly name: string;
  /** With the trigger on the table. */
  readonly guarded: boolean;
  readonly writers: number;
  /** The part of the rows that is written: slow paths get fewer. */
  readonly share: number;
  readonly write: Write;
}

export const GUARDED = 'binary array, guarded (lock, hash, provenance, trigger)';
export const BARE = 'binary array, bare UPDATE';

function textOf(i: number): string {
  return `Row ${i}: ${'a passage of ordinary words about tables and indexes; '.repeat(6)}`.slice(0, TEXT_BYTES);
}

/** Rows with random vectors, the same in every run, and the hashes of their texts. */
export function makeRows(count: number): EmbeddedRow[] {
  let seed = 42;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32 - 0.5;
  };
  return Array.from({ length: count }, (_, i) => ({
    key: [String(i + 1)],
    hash: textHash(textOf(i + 1)),
    vector: Float32Array.from({ length: DIMENSIONS }, random),
  }));
}

/**
 * A fresh, vacuumed table for every measurement, with nothing left to write from the one before: an updated table carries its dead rows into
 * the next, and autovacuum or a checkpoint would meet one path by chance.
 */
export async function prepareTable(db: Database, rows: number, guarded: boolean): Promise<Prepared> {
  await db.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await db.query(
    `CREATE TABLE ${TABLE} (id bigint PRIMARY KEY, text text NOT NULL, embedding public.vector(4)) WITH (autovacuum_enabled = off)`,
  );
  for (let from = 1; from <= rows; from += 5_000) {
    const texts = Array.from({ length: Math.min(5_000, rows - from + 1) }, (_, i) => textOf(from + i));
    await db.query(
      `INSERT INTO ${TABLE} (id, text) SELECT $1::bigint + i - 1, t FROM unnest($2::text[]) WITH ORDINALITY AS u(t, i)`,
      [from, texts],
    );
  }
  const table = await readTable(db, { schema: undefined, name: TABLE });
  const { target, vectorOid } = await addTarget(db, table, { text: 'text', guarded });
  await db.query(`VACUUM (ANALYZE) ${TABLE}`);
  await db.query('CHECKPOINT');
  return { db, target, vectorOid };
}

/** The versions of the rows of `table`, as a window of the backfill reads them. */
export async function readVersions(db: Database, rows: readonly EmbeddedRow[], table = TABLE): Promise<EmbeddedRow[]> {
  const found = await db.query<{ id: string; version: string }>(`SELECT id::text, xmin::text AS version FROM ${table}`);
  const versions = new Map(found.rows.map((row) => [row.id, row.version]));
  return rows.map((row) => ({ ...row, version: versions.get(row.key[0] ?? '') }));
}

const guarded: Write = async ({ db, target, vectorOid }, batch) => {
  const written = await writeBatch(db, { target, modelId: 1, vectorOid, fence: undefined }, batch);
  if (written !== batch.length) throw new Error(`${written} of ${batch.length} rows were written`);
};

const guardedByHash: Write = (prepared, batch) =>
  guarded(
    prepared,
    batch.map((row) => ({ ...row, version: undefined })),
  );

const bare: Write = async ({ db, vectorOid }, batch) => {
  const vectors = encodeVectorArray(vectorsOf(batch), vectorOid);
  await db.query(
    `UPDATE ${TABLE} t SET embedding_384 = i.v FROM unnest($1::bigint[], $2::public.vector[]) AS i(id, v) WHERE t.id = i.id`,
    [keysOf(batch), vectors],
  );
};

const textParameters: Write = async ({ db }, batch) => {
  await db.query(
    `UPDATE ${TABLE} t SET embedding_384 = i.v::public.vector FROM unnest($1::bigint[], $2::text[]) AS i(id, v) WHERE t.id = i.id`,
    [keysOf(batch), batch.map((row) => `[${row.vector.join(',')}]`)],
  );
};

const onePerRow: Write = async ({ db }, batch) => {
  await db.transaction(async (tx) => {
    for (const { key, vector } of batch) {
      const params = [key[0], `[${vector.join(',')}]`];
      await tx.query(`UPDATE ${TABLE} SET embedding_384 = $2::public.vector WHERE id = $1`, params);
    }
  });
};

function copyThenUpdate(client: pg.Client): Write {
  return async (_, batch) => {
    await client.query(`CREATE TEMP TABLE IF NOT EXISTS incoming (id bigint, v public.vector(${DIMENSIONS}))`);
    await client.query('TRUNCATE incoming');
    await copyIn(client, 'COPY incoming FROM STDIN (FORMAT binary)', encodeCopyRows(keysOf(batch), vectorsOf(batch)));
    await client.query(`UPDATE ${TABLE} t SET embedding_384 = i.v FROM incoming i WHERE t.id = i.id`);
  };
}

function keysOf(batch: readonly EmbeddedRow[]): string[] {
  return batch.map((row) => row.key[0] ?? '');
}

function vectorsOf(batch: readonly EmbeddedRow[]): Float32Array[] {
  return batch.map((row) => row.vector);
}

const EVERYWHERE: readonly WritePath[] = [
  { name: GUARDED, guarded: true, writers: 1, share: 1, write: guarded },
  { name: BARE, guarded: false, writers: 1, share: 1, write: bare },
  {
    name: 'guarded by the hash alone (sha256 of every text)',
    guarded: true,
    writers: 1,
    share: 1,
    write: guardedByHash,
  },
  { name: 'text parameters, bare UPDATE', guarded: false, writers: 1, share: 0.25, write: textParameters },
  { name: 'one UPDATE a row, in one transaction a batch', guarded: false, writers: 1, share: 0.1, write: onePerRow },
];

/** The embedded database has one session and no COPY: `databaseUrl` is undefined there. */
export async function openWritePaths(
  databaseUrl: string | undefined,
): Promise<{ readonly paths: readonly WritePath[]; close(): Promise<void> }> {
  if (databaseUrl === undefined) return { paths: EVERYWHERE, close: async () => undefined };
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const paths: WritePath[] = [
    ...EVERYWHERE,
    { name: 'guarded, two writers', guarded: true, writers: 2, share: 1, write: guarded },
    {
      name: 'binary COPY into a temporary table, bare UPDATE from it',
      guarded: false,
      writers: 1,
      share: 1,
      write: copyThenUpdate(client),
    },
  ];
  return { paths, close: () => client.end() };
}

/** The column of the new vectors, its provenance, and where it is guarded the trigger. */
export async function addTarget(
  db: Database,
  table: TableInfo,
  { text, guarded }: { readonly text: TextSource; readonly guarded: boolean },
): Promise<{ readonly target: VectorTarget; readonly vectorOid: number }> {
  const extension = await readVectorExtension(db);
  const target: VectorTarget = {
    schema: table.schema,
    table: table.name,
    key: table.key,
    text,
    column: 'embedding_384',
    provenance: provenanceOf('embedding_384'),
    vectorType: 'vector',
    dimensions: DIMENSIONS,
    vectorSchema: extension.schema,
    stateSchema: STATE,
  };
  for (const statement of addTargetColumnsSql(target)) await db.query(statement);
  if (guarded) for (const statement of createTriggerSql(target, 'bench', { always: false })) await db.query(statement);
  return { target, vectorOid: extension.vectorOid };
}
