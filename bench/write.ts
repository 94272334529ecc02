// How fast vectors reach the table: the same rows through each write path, interleaved, several rounds, medians.
//   DATABASE_URL=postgres://… node --import=tsx bench/write.ts [rows] [rounds]

import { textHash } from '../src/backfill/text-hash.ts';
import { writeBatch } from '../src/backfill/write-batch.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { readTable, readVectorExtension } from '../src/db/catalog.ts';
import { connectDatabase } from '../src/db/connect.ts';
import type { Database } from '../src/db/types.ts';
import { addTargetColumnsSql } from '../src/sql/columns.ts';
import { provenanceOf, type VectorTarget } from '../src/sql/target.ts';
import { createTriggerSql } from '../src/sql/trigger.ts';
import { encodeVectorArray } from '../src/vector/binary.ts';
import { interleave, markdownTable, openBenchDatabase } from './measure.ts';

const DIMENSIONS = 384;
const BATCH = 1000;
const TABLE = 'reembed_bench_write';
const STATE = 'reembed_bench';

interface Row {
  readonly key: readonly string[];
  readonly hash: Uint8Array;
  readonly vector: Float32Array;
}

interface Prepared {
  readonly db: Database;
  readonly target: VectorTarget;
  readonly vectorOid: number;
}

/** A text of about 330 bytes, the median passage of a documentation. */
function textOf(i: number): string {
  return `Row ${i}: ${'a passage of ordinary words about tables and indexes; '.repeat(6)}`.slice(0, 330);
}

function makeRows(count: number): Row[] {
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

/** A fresh table for every measurement: an updated one carries its dead rows into the next. */
async function prepare(db: Database, rows: number, guarded: boolean): Promise<Prepared> {
  await db.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await db.query(`CREATE TABLE ${TABLE} (id bigint PRIMARY KEY, text text NOT NULL, embedding public.vector(4))`);
  for (let from = 1; from <= rows; from += 5_000) {
    const texts = Array.from({ length: Math.min(5_000, rows - from + 1) }, (_, i) => textOf(from + i));
    await db.query(
      `INSERT INTO ${TABLE} (id, text) SELECT $1::bigint + i - 1, t FROM unnest($2::text[]) WITH ORDINALITY AS u(t, i)`,
      [from, texts],
    );
  }
  const table = await readTable(db, { schema: undefined, name: TABLE });
  const extension = await readVectorExtension(db);
  const target: VectorTarget = {
    schema: table.schema,
    table: table.name,
    key: table.key,
    text: 'text',
    column: 'embedding_384',
    provenance: provenanceOf('embedding_384'),
    vectorType: 'vector',
    dimensions: DIMENSIONS,
    vectorSchema: extension.schema,
    stateSchema: STATE,
  };
  for (const statement of addTargetColumnsSql(target)) await db.query(statement);
  if (guarded) for (const statement of createTriggerSql(target, 'bench', { always: false })) await db.query(statement);
  await db.query(`ANALYZE ${TABLE}`);
  return { db, target, vectorOid: extension.vectorOid };
}

type Path = (prepared: Prepared, batch: readonly Row[]) => Promise<void>;

const bareBinary: Path = async ({ db, vectorOid }, batch) => {
  const vectors = encodeVectorArray(
    batch.map((row) => row.vector),
    vectorOid,
  );
  await db.query(
    `UPDATE ${TABLE} t SET embedding_384 = i.v FROM unnest($1::bigint[], $2::public.vector[]) AS i(id, v) WHERE t.id = i.id`,
    [batch.map((row) => row.key[0]), Buffer.from(vectors.buffer)],
  );
};

const guardedBinary: Path = async ({ db, target, vectorOid }, batch) => {
  await writeBatch(db, { target, modelId: 1, vectorOid, fence: undefined }, batch);
};

const textParameters: Path = async ({ db }, batch) => {
  await db.query(
    `UPDATE ${TABLE} t SET embedding_384 = i.v::public.vector FROM unnest($1::bigint[], $2::text[]) AS i(id, v) WHERE t.id = i.id`,
    [batch.map((row) => row.key[0]), batch.map((row) => `[${row.vector.join(',')}]`)],
  );
};

const onePerRow: Path = async ({ db }, batch) => {
  await db.transaction(async (tx) => {
    for (const row of batch) {
      await tx.query(`UPDATE ${TABLE} SET embedding_384 = $2::public.vector WHERE id = $1`, [
        row.key[0],
        `[${row.vector.join(',')}]`,
      ]);
    }
  });
};

const PATHS: readonly {
  readonly name: string;
  readonly path: Path;
  readonly guarded: boolean;
  readonly share: number;
}[] = [
  { name: 'binary array, guarded (lock, hash, provenance, trigger)', path: guardedBinary, guarded: true, share: 1 },
  { name: 'binary array, bare UPDATE', path: bareBinary, guarded: false, share: 1 },
  { name: 'text parameters, bare UPDATE', path: textParameters, guarded: false, share: 0.5 },
  { name: 'one UPDATE a row, in one transaction a batch', path: onePerRow, guarded: false, share: 0.2 },
];

async function main(): Promise<void> {
  const rows = makeRows(Number(process.argv[2] ?? 20_000));
  const rounds = Number(process.argv[3] ?? 5);
  const opened = await openBenchDatabase(loadRuntimeSettings(), connectDatabase);
  const { db } = opened;
  await db.query(`CREATE EXTENSION IF NOT EXISTS vector SCHEMA public`);
  await db.query(`CREATE SCHEMA IF NOT EXISTS ${STATE}`);
  try {
    const results = await interleave(
      rounds,
      PATHS.map(({ name, path, guarded, share }) => ({
        name,
        run: async () => {
          const count = Math.round(rows.length * share);
          const prepared = await prepare(db, count, guarded);
          const started = performance.now();
          for (let i = 0; i < count; i += BATCH) await path(prepared, rows.slice(i, Math.min(count, i + BATCH)));
          return count / ((performance.now() - started) / 1000);
        },
      })),
    );
    console.log(markdownTable('rows/s', 'binary array, bare UPDATE', results));
  } finally {
    await db.query(`DROP TABLE IF EXISTS ${TABLE}`);
    await db.query(`DROP SCHEMA ${STATE} CASCADE`);
    await opened.close();
  }
}

await main();
