import type { MigrationDefinition } from '../../config/types.ts';
import { readTable, readTableByOid } from '../../db/catalog.ts';
import type { TableInfo } from '../../db/catalog-types.ts';
import { SQLSTATE, sqlStateOf } from '../../db/sqlstate.ts';
import type { Queryable } from '../../db/types.ts';
import { DatabaseError } from '../../errors.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { tableSql } from '../../sql/target.ts';
import type { TextExpression, TextSource } from '../../sql/text-source.ts';
import { readCorpus } from '../../state/keyword.ts';
import { type MigrationRecord, readRecord } from '../../state/records.ts';
import { stateExists } from '../../state/schema.ts';
import { readLanguage } from './read-language.ts';

/** Up to so many rows are searched without an index: half a second at 100 µs a row. */
export const SCANNED_ROWS = 5_000;

/** Where words are searched, and whether an index and statistics are there for it. */
export interface KeywordPlace {
  readonly table: Pick<TableInfo, 'schema' | 'name' | 'key'>;
  readonly text: TextSource;
  /** The language of the index, else the one to be scanned by. */
  readonly language: string;
  readonly index: 'ready' | 'missing' | 'unfinished';
  /** Counted only where there is no index, and no further than one more than may be scanned. */
  readonly rows: number | undefined;
}

export interface PlaceOptions {
  readonly definition: Pick<MigrationDefinition, 'id' | 'table' | 'text'>;
  readonly stateSchema: string;
  /** For a scan; the database's own unless given. */
  readonly language?: string | undefined;
}

/**
 * Looks at the catalog and the state, before 005 too.
 *
 * @throws DatabaseError `state_denied` where the role may not read the state; ConfigError `language_unknown`; PreflightError `table_missing`
 */
export async function readPlace(db: Queryable, options: PlaceOptions): Promise<KeywordPlace> {
  const { definition, stateSchema } = options;
  // Without USAGE on the schema even to_regclass is refused.
  const record = await orDenied(stateSchema, async () =>
    (await stateExists(db, stateSchema)) ? readRecord(db, stateSchema, definition.id) : undefined,
  );
  const table =
    record === undefined ? await readTable(db, definition.table) : await readTableByOid(db, record.tableOid);
  const text = textOf(definition, record, table);
  const corpus = await orDenied(stateSchema, async () =>
    record === undefined ? undefined : readCorpus(db, stateSchema, definition.id),
  );
  const isReady = (name: string): boolean => table.indexes.some((index) => index.name === name && index.valid);
  if (corpus?.documents !== undefined && isReady(corpus.indexName)) {
    return { table, text, language: corpus.language, index: 'ready', rows: undefined };
  }
  return {
    table,
    text,
    language: (await readLanguage(db, options.language)).sql,
    index: corpus?.counting === true ? 'unfinished' : 'missing',
    rows: await countRows(db, table),
  };
}

/** An expression that 005 has not read yet stands as it was written: it is bare SQL over the row's columns. */
function textOf(
  { text }: PlaceOptions['definition'],
  record: MigrationRecord | undefined,
  table: TableInfo,
): TextSource {
  if (record?.textExpression) return followColumns(record.textExpression, table);
  // A column that was renamed since is the one that the configuration says now.
  const kept = table.columns.some((column) => column.name === record?.text) ? record?.text : undefined;
  if (typeof text === 'string') return kept ?? text;
  return { source: text.expression, parts: [`${text.expression}\n`], immutable: false };
}

/** Columns that were renamed since 005 read the expression. */
function followColumns(text: TextExpression, table: TableInfo): TextExpression {
  const parts = text.parts.map((part) => {
    if (typeof part === 'string' || table.columns.some(({ name }) => name === part.column)) return part;
    return { ...part, column: table.columns.find(({ attnum }) => attnum === part.attnum)?.name ?? part.column };
  });
  return { ...text, parts };
}

async function countRows(db: Queryable, table: Pick<TableInfo, 'schema' | 'name'>): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT pg_catalog.count(*)::float8 AS count FROM (SELECT 1 FROM ${tableSql({ schema: table.schema, table: table.name })} LIMIT ${SCANNED_ROWS + 1}) r`,
  );
  return rows[0]?.count ?? 0;
}

/** Runs a look at the state, and says which rights it needs where they are missing. */
export async function orDenied<T>(stateSchema: string, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (cause) {
    if (sqlStateOf(cause) !== SQLSTATE.insufficientPrivilege) throw cause;
    const schema = quoteIdentifier(stateSchema);
    const tables = ['migrations', 'keyword_corpora', 'keyword_terms'].map((name) => `${schema}.${name}`).join(', ');
    throw new DatabaseError('state_denied', `This role may not read ${tables}, which a keyword search needs.`, {
      hint: `Run "GRANT USAGE ON SCHEMA ${schema} TO <role>; GRANT SELECT ON ${tables} TO <role>;".`,
      cause,
    });
  }
}
