// What the search client costs beside a plain SELECT: one client after another, one request at a time, vectors of queries kept.
//   DATABASE_URL=postgres://… npm run bench:search -- [--rows 20000] [--queries 200] [--rounds 7]
import { parseArgs } from 'node:util';
import pg from 'pg';
import type { Contender } from '../src/bench/statistics.ts';
import { loadRuntimeSettings, requireDatabaseUrl } from '../src/config/runtime.ts';
import { hashProvider } from '../src/providers/hash.ts';
import { type EncodeTexts, withActiveModel } from '../src/search/active-model.ts';
import { createSearch } from '../src/search/client/create-search.ts';
import type { SearchMode } from '../src/search/client/types.ts';
import { transactionsOf } from '../src/search/transactions-of.ts';
import { vectorLiteral } from '../src/search/vector-literal.ts';
import { cutOver } from '../src/steps/cut-over.ts';
import { fill } from '../src/steps/fill.ts';
import { interleave, markdownTable } from './measure.ts';
import { benchMigration, openMigrationBed, readCorpus, repeatCorpus } from './migration-bed.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    queries: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '7' },
  },
});
const ROWS = Number(values.rows);
const QUERIES = Number(values.queries);
const ROUNDS = Number(values.rounds);
const OLD = { provider: 'hash' as const, model: 'hash/256', dimensions: 256 };
const TEXT_BYTES = 330;
const PLAIN = 'plain SELECT';
/** √100 lists: what the client sets, too. */
const PROBES = 10;

const definition = {
  ...benchMigration('hash/384', 384),
  index: { ...benchMigration('hash/384', 384).index, lists: 100 },
};
const bed = await openMigrationBed();
const pool = new pg.Pool({ connectionString: requireDatabaseUrl(loadRuntimeSettings()), max: 1 });
const ctx = bed.context(definition);
const texts = Array.from({ length: QUERIES }, (_, i) => `question ${i} about indexes`);
const encoders = { old: remembered(OLD.model), new: remembered('hash/384') };
try {
  const { target } = await bed.prepare(definition, repeatCorpus(await readCorpus(), ROWS, TEXT_BYTES), OLD.dimensions);
  const table = `"${target.schema}"."${target.table}"`;
  await fillOldColumn(table);
  await report('before the backfill', table, encoders.old, ['active', 'new', 'merge']);
  await fill(ctx);
  await bed.db.query(`DELETE FROM ${table} WHERE id % 50 = 0`);
  await report('after 006, before 007: the new column has no index yet', table, encoders.old, ['active', 'new']);
  await cutOver(ctx);
  await report('after the swap', table, encoders.new, ['active', 'old', 'merge']);
} finally {
  await pool.end();
  await bed.close();
}
process.exit(0);

async function report(what: string, table: string, plain: EncodeTexts, modes: readonly SearchMode[]): Promise<void> {
  const client = createSearch(transactionsOf(pool), {
    migration: definition,
    stateSchema: ctx.runtime.stateSchema,
    encoders,
  });
  await pool.query(`SET ivfflat.probes = ${PROBES}`);
  const literals = (await plain(texts, { kind: 'query' })).map(vectorLiteral);
  const select = `SELECT id, text, embedding <=> $1::vector AS distance FROM ${table} ORDER BY embedding <=> $1::vector LIMIT 10`;
  const contenders: Contender[] = [
    contender(PLAIN, (i) => pool.query(select, [literals[i]])),
    contender('the same in a transaction that sets the probes', (i) =>
      transactionsOf(pool).transaction(async (tx) => {
        await tx.query(`SET LOCAL ivfflat.probes = ${PROBES}`);
        return tx.query(select, [literals[i]]);
      }),
    ),
    contender('withActiveModel and that', (i) =>
      withActiveModel(
        transactionsOf(pool),
        { migration: definition, stateSchema: ctx.runtime.stateSchema, encoders },
        async ({ db, encode }) => {
          await db.query(`SET LOCAL ivfflat.probes = ${PROBES}`);
          return db.query(select, [await encode(texts[i] ?? '')]);
        },
      ),
    ),
    ...modes.map((mode) => contender(`createSearch, ${mode}`, (i) => client.query(texts[i] ?? '', { mode }))),
  ];
  const results = await interleave(ROUNDS, contenders);
  console.log(`\n### ${what}\n\n${markdownTable('searches/s', PLAIN, results)}`);
}

function contender(name: string, ask: (i: number) => Promise<unknown>): Contender {
  return {
    name,
    async run() {
      const started = performance.now();
      for (let i = 0; i < QUERIES; i++) await ask(i);
      return (QUERIES * 1_000) / (performance.now() - started);
    },
  };
}

function remembered(model: string): EncodeTexts {
  const provider = hashProvider(model);
  const kept = new Map<string, Float32Array>();
  return async (wanted, { kind }) => {
    const missing = wanted.filter((text) => !kept.has(text));
    const { vectors } = await provider.embed(missing, { kind });
    for (const [i, text] of missing.entries()) kept.set(text, vectors[i] ?? new Float32Array(0));
    return wanted.map((text) => kept.get(text) ?? new Float32Array(0));
  };
}

async function fillOldColumn(table: string): Promise<void> {
  const provider = hashProvider(OLD.model);
  const { rows } = await bed.db.query<{ id: string; text: string }>(`SELECT id, text FROM ${table} ORDER BY id`);
  for (let i = 0; i < rows.length; i += 1_000) {
    const part = rows.slice(i, i + 1_000);
    const { vectors } = await provider.embed(
      part.map(({ text }) => text),
      { kind: 'document' },
    );
    await bed.db.query(
      `UPDATE ${table} t SET embedding = u.v::vector FROM unnest($1::bigint[], $2::text[]) u(id, v) WHERE t.id = u.id`,
      [part.map(({ id }) => id), vectors.map(vectorLiteral)],
    );
  }
  await bed.db.query(`CREATE INDEX ON ${table} USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100)`);
  await bed.db.query(`VACUUM ANALYZE ${table}`);
}
