import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import { messageOf, PreflightError } from '../errors.ts';
import { type Language, readLanguage } from '../search/keyword/read-language.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { type IndexDefinition, parseIndexDefinition } from '../sql/index-definition.ts';
import { wordsIndexName, wordsKeySql } from '../sql/keyword-words.ts';
import { partitionIndexName } from '../sql/partitioned-index.ts';
import { tableSql } from '../sql/target.ts';
import { type TextSource, textName } from '../sql/text-source.ts';
import type { MigrationContext } from '../state/context.ts';
import { readCorpus } from '../state/keyword.ts';
import { type ResolvedMigration, resolveMigration } from '../state/resolve.ts';
import { upgradeState } from '../state/state-version.ts';
import { buildIndex } from '../swap/build-index.ts';
import { buildPartitionedIndex } from '../swap/build-partitioned-index.ts';
import { withBriefLocks } from '../swap/lock-table.ts';
import { countWords, type WordCount } from './keyword-count.ts';
import { dropWordIndexes, readWordIndexes } from './keyword-drop.ts';

export interface KeywordBuildOptions {
  /** A text search configuration; the one in use, else the database's own unless given. */
  readonly language?: string | undefined;
}

export interface KeywordBuildResult extends WordCount {
  readonly language: string;
  readonly index: string;
}

/**
 * Builds what a keyword search of the migration's table stands on: a GIN index over the words, CONCURRENTLY, and the counts of them. In
 * another language than before, the index in use stays until the new one is there. An index that is there is kept, and counted anew.
 *
 * @throws ConfigError `language_unknown`; PreflightError `not_expanded` before 005, `words_not_immutable`; BusyError `keyword_recounted`;
 *   InterruptedError when the signal aborts
 */
export async function buildKeyword(ctx: MigrationContext, options: KeywordBuildOptions): Promise<KeywordBuildResult> {
  const resolved = await resolveMigration(ctx);
  await upgradeState(ctx, 'keyword');
  const corpus = await readCorpus(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
  const language = await chooseLanguage(ctx, options.language, corpus?.language);
  const index = wordsIndexName(ctx.definition.id, language.sql);
  ctx.onProgress({ kind: 'step', step: 'keyword', message: `Building the index ${index}` });
  await buildWordIndex(ctx, resolved, index, await readDefinition(ctx, resolved, language));
  await forgoStatistics(ctx, resolved, index);
  const count = await countWords(ctx, resolved, { language: language.sql, indexName: index });
  await dropWordIndexes(ctx, resolved.table, { except: index });
  return { ...count, language: language.name, index };
}

async function chooseLanguage(
  { db }: MigrationContext,
  asked: string | undefined,
  inUse: string | undefined,
): Promise<Language> {
  if (asked === undefined && inUse !== undefined) return { name: inUse.replace(/^pg_catalog\./, ''), sql: inUse };
  return readLanguage(db, asked);
}

async function buildWordIndex(
  ctx: MigrationContext,
  { table }: ResolvedMigration,
  name: string,
  definition: IndexDefinition,
): Promise<void> {
  const common = { name, label: name, definition, step: 'keyword' } as const;
  if (table.kind !== 'p') {
    const build = { ...common, schema: table.schema, table: table.name, memoryBytes: undefined };
    if ((await buildIndex(ctx, build)) === 'reused') {
      ctx.onProgress({ kind: 'notice', message: `${name} is there already; its words are counted anew.` });
    }
    return;
  }
  await buildPartitionedIndex(ctx, {
    ...common,
    table,
    partition: (partition) => ({
      name: partitionIndexName(table.name, partition.name, name),
      definition,
      memoryBytes: undefined,
    }),
  });
}

/**
 * ANALYZE would take the words of 30,000 rows apart each time, and the planner, that knows not how dear that is, would then read the whole
 * table for a frequent word. Without statistics it asks the index.
 */
async function forgoStatistics(ctx: MigrationContext, { table }: ResolvedMigration, name: string): Promise<void> {
  const indexes = await readWordIndexes(ctx.db, table, name);
  await withBriefLocks(ctx, table, 'keyword', async (tx) => {
    for (const index of indexes) {
      await tx.query(`ALTER INDEX ${quoteQualified(index.schema, index.name)} ALTER COLUMN 1 SET STATISTICS 0`);
    }
  });
}

/**
 * The index as Postgres would print it, so that one that is there is known again: read from an index on an empty table of the same columns, of
 * which nothing is kept. It also tells in time that the text cannot be indexed.
 */
async function readDefinition(
  ctx: MigrationContext,
  { table, target: { text } }: ResolvedMigration,
  language: Language,
): Promise<IndexDefinition> {
  const probe = 'reembed_words_probe';
  const drop = new Error('nothing of it is kept');
  let printed: string | undefined;
  try {
    await ctx.db.transaction(async (tx) => {
      await tx.query(`CREATE TEMPORARY TABLE ${probe} (LIKE ${tableSql({ schema: table.schema, table: table.name })})`);
      await tx.query(`CREATE INDEX ${probe}_words ON pg_temp.${probe} USING gin (${wordsKeySql(language.sql, text)})`);
      const { rows } = await tx.query<{ printed: string }>(
        `SELECT pg_catalog.pg_get_indexdef('pg_temp.${probe}_words'::pg_catalog.regclass) AS printed`,
      );
      printed = rows[0]?.printed;
      throw drop;
    });
  } catch (error) {
    if (sqlStateOf(error) === SQLSTATE.invalidObjectDefinition) throw notImmutable(text, table, error);
    if (sqlStateOf(error) === SQLSTATE.insufficientPrivilege) throw temporaryDenied(table, error);
    if (error !== drop) throw error;
  }
  if (printed === undefined)
    throw new Error(`the index of ${quoteQualified(table.schema, table.name)} was not printed`);
  return parseIndexDefinition(printed);
}

function notImmutable(
  text: TextSource,
  table: { readonly schema: string; readonly name: string },
  cause: unknown,
): PreflightError {
  return new PreflightError(
    'words_not_immutable',
    `The words of ${table.schema}.${table.name} cannot be indexed, ${messageOf(cause)}: ${textName(text)}`,
    {
      step: 'keyword',
      hint: `Write the text with IMMUTABLE functions: coalesce(title, '') || E'\\n' || coalesce(body, '') instead of concat_ws. Up to 5,000 rows are searched without an index.`,
      cause,
    },
  );
}

function temporaryDenied(table: { readonly schema: string; readonly name: string }, cause: unknown): PreflightError {
  return new PreflightError(
    'temporary_denied',
    `The index over the words of ${table.schema}.${table.name} is tried on an empty temporary table first, which cannot be made here: ${messageOf(cause)}.`,
    { step: 'keyword', hint: 'GRANT TEMPORARY ON DATABASE … to this role; nothing temporary is kept.', cause },
  );
}
