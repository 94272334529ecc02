// What text of two columns costs against the same text in one: the guarded write of a backfill, and an application's UPDATE of another
// column, which the trigger looks at. Interleaved, several rounds, medians.
//   DATABASE_URL=postgres://… node --import=tsx bench/write-expression.ts [rows] [rounds]

import { writeBatch } from '../src/backfill/write-batch.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { readTable } from '../src/db/catalog.ts';
import { connectDatabase } from '../src/db/connect.ts';
import { readExpression } from '../src/db/read-expression.ts';
import type { Database } from '../src/db/types.ts';
import type { VectorTarget } from '../src/sql/target.ts';
import type { TextSource } from '../src/sql/text-source.ts';
import { interleave, type Measured, markdownTable, median, openBenchDatabase } from './measure.ts';
import { addTarget, BATCH_ROWS, DIMENSIONS, makeRows, readVersions, STATE } from './write-paths.ts';

const TABLE = 'reembed_bench_expression';
const TITLE = `'Row ' || i || ': a title of some words'`;
const BODY = `repeat('a passage of ordinary words about tables; ', 7)`;
const PLAIN = 'a column';

interface Shape {
  readonly name: string;
  readonly columns: string;
  readonly values: string;
  readonly expression?: string;
}

const SPLIT = { columns: 'title text, body text', values: `${TITLE}, ${BODY}` };
const SHAPES: readonly Shape[] = [
  { name: PLAIN, columns: 'text text', values: `${TITLE} || E'\\n' || ${BODY}` },
  {
    name: "coalesce(title, '') || E'\\n' || coalesce(body, '')",
    ...SPLIT,
    expression: `coalesce(title, '') || E'\\n' || coalesce(body, '')`,
  },
  { name: "concat_ws(E'\\n', title, body)", ...SPLIT, expression: `concat_ws(E'\\n', title, body)` },
];

async function prepare(db: Database, shape: Shape, rows: number): Promise<{ target: VectorTarget; vectorOid: number }> {
  await db.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await db.query(
    `CREATE TABLE ${TABLE} (id bigint PRIMARY KEY, ${shape.columns}, seen int, embedding public.vector(4)) WITH (autovacuum_enabled = off)`,
  );
  await db.query(`INSERT INTO ${TABLE} SELECT i, ${shape.values} FROM generate_series(1, $1::int) i`, [rows]);
  const table = await readTable(db, { schema: undefined, name: TABLE });
  const text: TextSource =
    shape.expression === undefined ? 'text' : await readExpression(db, table, shape.expression, []);
  const { target, vectorOid } = await addTarget(db, table, { text, guarded: true });
  await db.query(`VACUUM (ANALYZE) ${TABLE}`);
  await db.query('CHECKPOINT');
  return { target, vectorOid };
}

async function main(): Promise<void> {
  const rows = makeRows(Number(process.argv[2] ?? 20_000));
  const rounds = Number(process.argv[3] ?? 7);
  const opened = await openBenchDatabase(loadRuntimeSettings(), connectDatabase);
  const { db } = opened;
  const edits = new Map<string, number[]>(SHAPES.map(({ name }) => [name, []]));
  await db.query('CREATE EXTENSION IF NOT EXISTS vector SCHEMA public');
  await db.query(`CREATE SCHEMA IF NOT EXISTS ${STATE}`);

  async function measure(shape: Shape): Promise<number> {
    const { target, vectorOid } = await prepare(db, shape, rows.length);
    const versioned = await readVersions(db, rows, TABLE);
    const started = performance.now();
    for (let from = 0; from < rows.length; from += BATCH_ROWS) {
      const batch = versioned.slice(from, from + BATCH_ROWS);
      const written = await writeBatch(db, { target, modelId: 1, vectorOid, fence: undefined }, batch);
      if (written !== batch.length) throw new Error(`${written} of ${batch.length} rows were written`);
    }
    const seconds = (performance.now() - started) / 1000;
    const edited = performance.now();
    await db.query(`UPDATE ${TABLE} SET seen = 1`);
    edits.get(shape.name)?.push(rows.length / ((performance.now() - edited) / 1000));
    return rows.length / seconds;
  }

  try {
    const writes = await interleave(
      rounds,
      SHAPES.map((shape) => ({ name: shape.name, run: () => measure(shape) })),
    );
    console.log(`${rows.length} rows, ${DIMENSIONS} dimensions, ${BATCH_ROWS} rows a statement, ${rounds} rounds.\n`);
    report('The guarded write', writes);
    report(
      "An application's UPDATE of another column",
      SHAPES.map(({ name }) => ({ name, rates: edits.get(name) ?? [] })),
    );
  } finally {
    await db.query(`DROP TABLE IF EXISTS ${TABLE}`);
    await db.query(`DROP SCHEMA ${STATE} CASCADE`);
    await opened.close();
  }
}

/** Within a round: what slows a whole round down slows all of it. */
function report(title: string, results: readonly Measured[]): void {
  const plain = results.find(({ name }) => name === PLAIN)?.rates ?? [];
  console.log(`${title}\n\n${markdownTable('rows/s', PLAIN, results)}\n`);
  for (const { name, rates } of results.slice(1)) {
    const ratio = median(rates.map((rate, round) => rate / (plain[round] ?? Number.NaN)));
    console.log(`${name}: ${ratio.toFixed(2)} of a column's rate within a round (median).`);
  }
  console.log();
}

await main();
