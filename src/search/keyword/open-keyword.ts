import { number } from '../../amounts.ts';
import type { MigrationDefinition } from '../../config/types.ts';
import type { Queryable } from '../../db/types.ts';
import { PreflightError } from '../../errors.ts';
import { pgSearchSql, type VchordPlace, vchordSql } from '../../sql/keyword-extensions.ts';
import {
  indexedSearchSql,
  type KeywordTarget,
  keywordTermsSql,
  type Statement,
  scanSearchSql,
} from '../../sql/keyword-search.ts';
import { countFinding, isComplete, type TermFacts, weighTerms } from './bm25.ts';
import { type KeywordPlace, orDenied, readPlace, SCANNED_ROWS } from './read-place.ts';
import type { KeywordHit, KeywordResult, KeywordSearch, KeywordSearchOptions } from './types.ts';

export interface OpenKeywordOptions {
  /** The migration as `reembed.config.ts` pins it. */
  readonly migration: Pick<MigrationDefinition, 'id' | 'table' | 'text'>;
  /** `reembed` unless REEMBED_STATE_SCHEMA says otherwise. */
  readonly stateSchema?: string | undefined;
  /** A text search configuration for a table without an index; the database's own unless given. */
  readonly language?: string | undefined;
  /** Rows that are scored for a query (1,000). */
  readonly candidates?: number | undefined;
  /** Entries of the index that are looked at for a query (50,000). */
  readonly maxEntries?: number | undefined;
  /** An extension with a BM25 index of its own on the table, in the place of all this. Untried by us, so only where it is asked for. */
  readonly extension?: KeywordExtension | undefined;
}

export type KeywordExtension = { readonly name: 'pg_search' } | ({ readonly name: 'vchord_bm25' } & VchordPlace);

export interface Keyword {
  readonly search: KeywordSearch;
  /** The same with what found the hits, and whether they are certainly the best. */
  readonly explain: (tx: Queryable, query: string, options: KeywordSearchOptions) => Promise<KeywordResult>;
}

const CANDIDATES = 1_000;
const MAX_ENTRIES = 50_000;
/** More of a query is not read: each of its words costs a look at the index, and 40,000 of them are more than Postgres's stack holds. */
const QUERY_CHARACTERS = 4_000;
/** What stands in the catalog is looked at again after so long: an index that was built meanwhile is used from then on. */
const PLACE_AGE_MS = 5_000;

/**
 * Keyword search of a migration's table by BM25 (k1 1.2, b 0.75, Lucene's idf), with the index and statistics that `reembed keyword build` makes;
 * a table of up to 5,000 rows is searched without them. A query's words are alternatives: more of them, rarer ones, and in shorter texts,
 * rank higher. A query without a word (only stop words, say) has no hits.
 *
 * A search throws PreflightError `keyword_index_missing` for a larger table without the index, and as `readPlace`.
 */
export function openKeyword(options: OpenKeywordOptions): Keyword {
  const stateSchema = options.stateSchema ?? 'reembed';
  let known: { readonly place: KeywordPlace; readonly at: number } | undefined;
  const placeNow = async (tx: Queryable): Promise<KeywordPlace> => {
    if (known !== undefined && performance.now() - known.at < PLACE_AGE_MS) return known.place;
    const { migration: definition, language } = options;
    known = { place: await readPlace(tx, { definition, stateSchema, language }), at: performance.now() };
    return known.place;
  };
  const explain: Keyword['explain'] = async (tx, query, wanted) => {
    const { limit } = wanted;
    if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`limit is a whole number from 1, got ${limit}`);
    // A NUL is no part of any text in Postgres, and refused as a parameter.
    const text = query.slice(0, QUERY_CHARACTERS).replaceAll('\u0000', ' ');
    try {
      return await answer(tx, await placeNow(tx), text, wanted, { ...options, stateSchema });
    } catch (error) {
      // What was known of the catalog may be what was wrong: a retry looks anew.
      known = undefined;
      throw error;
    }
  };
  return { explain, search: async (tx, query, wanted) => (await explain(tx, query, wanted)).hits };
}

async function answer(
  tx: Queryable,
  place: KeywordPlace,
  query: string,
  wanted: KeywordSearchOptions,
  options: OpenKeywordOptions & { readonly stateSchema: string },
): Promise<KeywordResult> {
  if (options.extension !== undefined) return askExtension(tx, place, query, wanted, options.extension);
  return place.index === 'ready' ? searchIndex(tx, place, query, wanted, options) : scan(tx, place, query, wanted);
}

async function askExtension(
  tx: Queryable,
  place: KeywordPlace,
  query: string,
  options: KeywordSearchOptions,
  extension: KeywordExtension,
): Promise<KeywordResult> {
  const target = targetOf(place);
  if (extension.name === 'pg_search' && target.key.length > 1) throw keyOfSeveral(place);
  const search = { ...options, query };
  const statement = extension.name === 'pg_search' ? pgSearchSql(target, search) : vchordSql(target, extension, search);
  const hits = hitsOf(await run(tx, statement), place);
  return { hits, engine: `${extension.name} (untried)`, language: undefined, complete: undefined };
}

async function scan(
  tx: Queryable,
  place: KeywordPlace,
  query: string,
  options: KeywordSearchOptions,
): Promise<KeywordResult> {
  if ((place.rows ?? 0) > SCANNED_ROWS) throw indexMissing(place);
  const rows = await run(tx, scanSearchSql(targetOf(place), { ...options, query }));
  return { hits: hitsOf(rows, place), engine: 'scan', language: place.language, complete: true };
}

interface Row extends Readonly<Record<string, unknown>> {
  readonly text: string | null;
  readonly score: number;
}

interface IndexRow extends Row {
  readonly entries: number;
  readonly rest: number;
}

type Terms = TermFacts & { readonly language: string; readonly documents: number; readonly tokens: number };

async function searchIndex(
  tx: Queryable,
  place: KeywordPlace,
  query: string,
  options: KeywordSearchOptions,
  {
    migration,
    stateSchema,
    candidates = CANDIDATES,
    maxEntries = MAX_ENTRIES,
  }: OpenKeywordOptions & { stateSchema: string },
): Promise<KeywordResult> {
  const { rows } = await orDenied(stateSchema, () =>
    tx.query<Terms>(keywordTermsSql(stateSchema), [migration.id, query]),
  );
  const facts = rows.filter(({ lexeme }) => lexeme !== null);
  const [corpus] = rows;
  // Another language since the last look at the catalog has another index: it is found by the statement itself.
  const language = corpus?.language ?? place.language;
  if (corpus === undefined || facts.length === 0) return { hits: [], engine: 'index', language, complete: true };
  const terms = weighTerms(corpus.documents, facts);
  const search = {
    ...options,
    terms,
    averageLength: corpus.tokens / corpus.documents || 1,
    maxEntries,
    candidates: Math.max(candidates, options.limit),
  };
  const target = { ...targetOf(place), language };
  const look = async (finding: number): Promise<KeywordResult> => {
    const found = await run<IndexRow>(tx, indexedSearchSql(target, { ...search, finding: terms.slice(0, finding) }));
    const { entries = 0, rest = 0 } = found[0] ?? {};
    const complete = isComplete({
      scores: found.map(({ score }) => score),
      limit: options.limit,
      rest,
      unsought: terms.slice(finding).reduce((sum, { weight }) => sum + weight, 0),
      cut: entries >= maxEntries,
    });
    return { hits: hitsOf(found, place), engine: 'index', language, complete };
  };
  const finding = countFinding(facts, maxEntries);
  const first = await look(finding);
  return first.complete === true || finding === terms.length ? first : look(terms.length);
}

async function run<R extends Row>(tx: Queryable, { text, params }: Statement): Promise<R[]> {
  return (await tx.query<R>(text, params)).rows;
}

function targetOf({ table, text, language }: KeywordPlace): KeywordTarget {
  return { schema: table.schema, table: table.name, key: table.key, text, language };
}

function hitsOf(rows: readonly Row[], { table }: KeywordPlace): KeywordHit[] {
  return rows.map((row) => ({
    key: table.key.map((_, i) => String(row[`k${i}`])),
    text: row.text,
    score: row.score,
  }));
}

function indexMissing({ table, index }: KeywordPlace): PreflightError {
  const what = index === 'unfinished' ? 'is not counted yet for' : 'has no index for';
  return new PreflightError(
    'keyword_index_missing',
    `${table.schema}.${table.name} ${what} a keyword search, and more than the ${number(SCANNED_ROWS)} rows that are searched without one.`,
    { step: 'inspect', hint: 'Run "reembed keyword build".' },
  );
}

function keyOfSeveral({ table }: KeywordPlace): PreflightError {
  return new PreflightError(
    'keyword_extension',
    `The key of ${table.schema}.${table.name} has ${table.key.length} columns, pg_search scores by a key of one.`,
    { step: 'inspect', hint: 'Leave "extension" out and run "reembed keyword build".' },
  );
}
