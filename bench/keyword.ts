// Keyword search beside what Postgres itself offers, ts_rank_cd over the same index and the same alternatives: how often a title of the
// sample corpus finds its passage, and how long a search takes on a large table. In turns, within one run.
//   DATABASE_URL=postgres://… npx tsx bench/keyword.ts [--rows 50000] [--queries 40] [--rounds 3]
import { parseArgs } from 'node:util';
import { mean, percentile } from '../src/bench/statistics.ts';
import { readLines } from '../src/providers/read-lines.ts';
import { openKeyword } from '../src/search/keyword/open-keyword.ts';
import { scoreQuery } from '../src/search/recall.ts';
import { lexemeQuery, wordsSql } from '../src/sql/keyword-words.ts';
import { buildKeyword } from '../src/steps/keyword-build.ts';
import { interleave, median } from './measure.ts';
import { benchMigration, openMigrationBed } from './migration-bed.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '50000' },
    queries: { type: 'string', default: '40' },
    rounds: { type: 'string', default: '3' },
  },
});
const CORPUS = 'examples/postgres-docs/passages.jsonl';
const LIMIT = 10;
const LANGUAGE = 'english';
/** Those that `reembed demo` asks. */
const RECALL_TITLES = 300;

interface Passage {
  readonly title: string;
  readonly text: string;
}

const passages: Passage[] = [];
for await (const { text } of readLines(CORPUS)) passages.push(JSON.parse(text));

const definition = benchMigration('hash/384', 384);
const bed = await openMigrationBed();
const ctx = bed.context(definition);
const { db } = bed;

type Search = (query: string) => Promise<readonly (readonly string[])[]>;

function bm25(candidates?: number): { readonly search: Search; readonly complete: boolean[] } {
  const keyword = openKeyword({ migration: definition, stateSchema: ctx.runtime.stateSchema, candidates });
  const complete: boolean[] = [];
  const search: Search = (query) =>
    db.transaction(async (tx) => {
      const result = await keyword.explain(tx, query, { limit: LIMIT });
      complete.push(result.complete === true);
      return result.hits.map(({ key }) => key);
    });
  return { search, complete };
}

/** The same alternatives; Postgres scores every row that has one of them. */
const tsRank: Search = async (query) => {
  const { rows: lexemes } = await db.query<{ lexeme: string }>(
    `SELECT lexeme FROM pg_catalog.unnest(pg_catalog.to_tsvector($1::text::regconfig, $2::text))`,
    [LANGUAGE, query],
  );
  if (lexemes.length === 0) return [];
  const words = wordsSql('pg_catalog.english', 'text', 't');
  const { rows } = await db.query<{ id: string }>(
    `SELECT t.id::text AS id FROM ${definition.table.name} t WHERE ${words} @@ $1::tsquery ORDER BY pg_catalog.ts_rank_cd(${words}, $1::tsquery) DESC, t.id LIMIT ${LIMIT}`,
    [lexemes.map(({ lexeme }) => lexemeQuery(lexeme)).join(' | ')],
  );
  return rows.map(({ id }) => [id]);
};

/** Titles are the questions, and every passage under that title is an answer. */
async function measureRecall(): Promise<void> {
  await bed.prepare(
    definition,
    passages.map(({ text }) => text),
  );
  await buildKeyword(ctx, { language: LANGUAGE });
  const answers = new Map<string, string[][]>();
  for (const [i, { title }] of passages.entries()) answers.set(title, [...(answers.get(title) ?? []), [String(i + 1)]]);
  const step = Math.max(1, answers.size / RECALL_TITLES);
  const asked = [...answers].filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const { search, complete } = bm25();
  for (const [name, run] of [
    ['BM25', search],
    ['ts_rank_cd', tsRank],
  ] as const) {
    const scores = [];
    for (const [title, relevant] of asked) scores.push(scoreQuery(await run(title), relevant));
    console.log(
      `${name}: Recall@10 ${mean(scores.map(({ recall }) => recall)).toFixed(3)}, MRR ${mean(scores.map(({ reciprocalRank }) => reciprocalRank)).toFixed(3)} of ${asked.length} titles`,
    );
  }
  console.log(`${complete.filter(Boolean).length} of ${complete.length} searches were certainly complete\n`);
}

/** Half of a passage and half of another, so that no two rows are alike, with a word of its own. */
function* mixTexts(count: number): Generator<string> {
  let seed = 1;
  const draw = (): string[] => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    const words = (passages[(seed >>> 8) % passages.length]?.text ?? '').split(' ');
    const from = (seed >>> 4) % Math.ceil(words.length / 2 + 1);
    return words.slice(from, from + Math.ceil(words.length / 2));
  };
  for (let i = 0; i < count; i++) yield [...draw(), ...draw(), `item${i}`].join(' ');
}

async function measureTime(): Promise<void> {
  const rows = Number(values.rows);
  await bed.prepare(definition, mixTexts(rows));
  const began = performance.now();
  const built = await buildKeyword(ctx, { language: LANGUAGE });
  console.log(
    `${rows} rows, ${built.terms} different words, built and counted in ${((performance.now() - began) / 1000).toFixed(1)} s`,
  );
  const titles = [...new Set(passages.map(({ title }) => title))];
  const queries = titles.filter((_, i) => i % Math.floor(titles.length / Number(values.queries)) === 0);
  const { search, complete } = bm25();
  const whole = bm25(rows);
  const took = new Map<Search, number[]>([
    [search, []],
    [tsRank, []],
  ]);
  const run = (each: Search) => async (): Promise<number> => {
    const times: number[] = [];
    for (const query of queries) {
      const started = performance.now();
      await each(query);
      times.push(performance.now() - started);
    }
    took.get(each)?.push(...times);
    return 1000 / mean(times);
  };
  const results = await interleave(Number(values.rounds), [
    { name: 'ts_rank_cd', run: run(tsRank) },
    { name: 'BM25', run: run(search) },
  ]);
  const [base, ours] = results.map(({ rates }) => rates);
  for (const [name, each] of [
    ['ts_rank_cd', tsRank],
    ['BM25', search],
  ] as const) {
    const times = took.get(each) ?? [];
    console.log(`${name}: median ${median(times).toFixed(0)} ms, p95 ${percentile(times, 0.95).toFixed(0)} ms`);
  }
  console.log(`searches a second, BM25 of ts_rank_cd: ${(median(ours ?? []) / median(base ?? [])).toFixed(1)} times`);
  const certain = complete.filter(Boolean).length / complete.length;
  const shares: number[] = [];
  for (const query of queries) {
    const best = new Set((await whole.search(query)).map(([id]) => id));
    const found = (await search(query)).filter(([id]) => best.has(id));
    if (best.size > 0) shares.push(found.length / best.size);
  }
  console.log(
    `certainly complete: ${(100 * certain).toFixed(0)}% of searches; of the true first ten found: ${(100 * mean(shares)).toFixed(1)}%`,
  );
}

try {
  await measureRecall();
  if (Number(values.rows) > 0) await measureTime();
} finally {
  await bed.close();
}
