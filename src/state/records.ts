import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { TextExpression } from '../sql/text-source.ts';
import type { SearchSettings } from './search-settings.ts';

export type Phase = 'expanded' | 'backfilling' | 'backfilled' | 'swapped' | 'finalized';

/** An index of the old column as it was, so that it can be built again. */
export interface SavedIndex {
  readonly name: string;
  readonly schema: string;
  readonly method: string;
  /** `CREATE INDEX …` as pg_get_indexdef gave it. */
  readonly definition: string;
  /** True when 005 dropped it (`oldIndex: 'drop'`). */
  readonly dropped: boolean;
  /** Its name beside the kept column after the swap; undefined before. */
  readonly keptName?: string;
  /** It went with the old column, which came back from a backup since: an exchange back builds it again. */
  readonly gone?: boolean;
  /** Of a partitioned table: its parts on the partitions. */
  readonly partitions?: readonly SavedPartIndex[];
}

/** The part of an old index on one partition. */
export interface SavedPartIndex {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly definition: string;
  readonly keptName?: string;
}

/** An index on the new vectors and how to search it. */
export interface NewIndex {
  readonly name: string;
  readonly kind: 'ivfflat' | 'hnsw';
  readonly lists?: number;
  /** To be set for a search: `ivfflat.probes` or `hnsw.ef_search`. */
  readonly probes?: number;
  readonly efSearch?: number;
}

export interface SavedBackup {
  readonly path: string;
  readonly column: string;
  /** Which vectors of the migration these are: after the swap a name alone does not tell. */
  readonly vectors: 'old' | 'new' | 'other';
  readonly rows: number;
  readonly sha256: string;
  readonly at: string;
}

/** A migration's row in the state. */
export interface MigrationRecord {
  readonly id: string;
  readonly tableOid: number;
  readonly schema: string;
  readonly table: string;
  /** The column's name, or for people that of the expression. */
  readonly text: string;
  /** Where the text is made of several columns. */
  readonly textExpression: TextExpression | null;
  /** The name that the application uses. */
  readonly column: string;
  /** The new column's name until the swap. */
  readonly target: string;
  /** The old column's name after the swap, e.g. `embedding_old`; null before, and after it was dropped. */
  readonly keptColumn: string | null;
  readonly dimensions: number;
  readonly vectorType: 'vector' | 'halfvec';
  readonly phase: Phase;
  readonly active: 'old' | 'new';
  /** Null until the first run of the backfill with something to do. */
  readonly modelId: number | null;
  /** The provenance of vectors that an adapter made, which count as the model's until they are replaced; null where there are none. */
  readonly adaptedModelId: number | null;
  readonly definition: Readonly<Record<string, unknown>>;
  /** Key values, as text, behind which everything was visited in the present pass. */
  readonly cursor: readonly string[] | null;
  readonly rowsTotal: number | null;
  readonly rowsWritten: number;
  readonly tokens: number;
  readonly truncated: number;
  readonly oldIndexes: readonly SavedIndex[];
  readonly newIndexes: readonly NewIndex[];
  readonly backups: readonly SavedBackup[];
  /** What `reembed tune` found; null before it has. */
  readonly searchSettings: SearchSettings | null;
  /** An exchange accepted rows that the column which came in has no vector of, and nobody has filled them since. */
  readonly hasGaps: boolean | null;
  readonly swappedAt: string | null;
  readonly finalizedAt: string | null;
}

const COLUMNS: Readonly<Record<keyof MigrationRecord, string>> = {
  id: 'id',
  tableOid: 'table_oid',
  schema: 'table_schema',
  table: 'table_name',
  text: 'text_column',
  textExpression: 'text_expression',
  column: 'source_column',
  target: 'target_column',
  keptColumn: 'kept_column',
  dimensions: 'dimensions',
  vectorType: 'vector_type',
  phase: 'phase',
  active: 'active',
  modelId: 'model_id',
  adaptedModelId: 'adapted_model_id',
  definition: 'definition',
  cursor: 'cursor',
  rowsTotal: 'rows_total',
  rowsWritten: 'rows_written',
  tokens: 'tokens',
  truncated: 'truncated',
  oldIndexes: 'old_indexes',
  newIndexes: 'new_indexes',
  backups: 'backups',
  searchSettings: 'search_settings',
  hasGaps: 'has_gaps',
  swappedAt: 'swapped_at',
  finalizedAt: 'finalized_at',
};

const JSON_FIELDS: ReadonlySet<string> = new Set([
  'textExpression',
  'definition',
  'cursor',
  'oldIndexes',
  'newIndexes',
  'backups',
  'searchSettings',
]);
/** bigint in the table, safe as numbers: no table has 2^53 rows. */
const COUNT_FIELDS: ReadonlySet<string> = new Set(['rowsTotal', 'rowsWritten', 'tokens', 'truncated']);

/** Of columns that came after version 3 of the state. */
const LATER_FIELDS: ReadonlyMap<string, string> = new Map([
  ['textExpression', 'jsonb'],
  ['searchSettings', 'jsonb'],
  ['hasGaps', 'boolean'],
  ['adaptedModelId', 'integer'],
]);

const SELECT_LIST = Object.entries(COLUMNS)
  .map(([field, column]) => `${readSql(field, column)} AS "${field}"`)
  .join(', ');

function readSql(field: string, column: string): string {
  // Not there in the state of an older version, which is read as it is.
  const type = LATER_FIELDS.get(field);
  return type === undefined ? `m.${column}${castOf(field)}` : `(pg_catalog.to_jsonb(m) ->> '${column}')::${type}`;
}

function castOf(field: string): string {
  // A regclass, so that a dump holds the table's name: it follows a renaming here and is found by name elsewhere.
  if (field === 'tableOid') return '::oid';
  return COUNT_FIELDS.has(field) ? '::float8' : '';
}

/** One migration's record, or undefined. The state's tables must be there. */
export async function readRecord(db: Queryable, stateSchema: string, id: string): Promise<MigrationRecord | undefined> {
  const { rows } = await db.query<MigrationRecord>(
    `SELECT ${SELECT_LIST} FROM ${quoteIdentifier(stateSchema)}.migrations m WHERE m.id = $1`,
    [id],
  );
  return rows[0];
}

/** All records, oldest first. */
export async function listRecords(db: Queryable, stateSchema: string): Promise<MigrationRecord[]> {
  const { rows } = await db.query<MigrationRecord>(
    `SELECT ${SELECT_LIST} FROM ${quoteIdentifier(stateSchema)}.migrations m ORDER BY m.created_at, m.id`,
  );
  return rows;
}

const NEW_RECORD_FIELDS = [
  'id',
  'tableOid',
  'schema',
  'table',
  'text',
  'textExpression',
  'column',
  'target',
  'dimensions',
  'vectorType',
  'definition',
  'oldIndexes',
] as const satisfies readonly (keyof MigrationRecord)[];

export type NewRecord = Pick<MigrationRecord, (typeof NEW_RECORD_FIELDS)[number]>;

/** Inserts a record in phase `expanded`. */
export async function insertRecord(db: Queryable, stateSchema: string, record: NewRecord): Promise<void> {
  const columns = NEW_RECORD_FIELDS.map((field) => COLUMNS[field]).join(', ');
  const params = NEW_RECORD_FIELDS.map((_, i) => `$${i + 1}`).join(', ');
  await db.query(
    `INSERT INTO ${quoteIdentifier(stateSchema)}.migrations (${columns}, phase) VALUES (${params}, 'expanded')`,
    NEW_RECORD_FIELDS.map((field) => toParam(field, record[field])),
  );
}

/** Changes the given fields of a record. */
export async function updateRecord(
  db: Queryable,
  stateSchema: string,
  id: string,
  changes: Partial<Omit<MigrationRecord, 'id'>>,
): Promise<void> {
  const fields = Object.keys(changes) as (keyof typeof changes)[];
  const sets = fields.map((field, i) => `${COLUMNS[field]} = $${i + 2}`);
  await db.query(
    `UPDATE ${quoteIdentifier(stateSchema)}.migrations SET ${[...sets, 'updated_at = now()'].join(', ')} WHERE id = $1`,
    [id, ...fields.map((field) => toParam(field, changes[field]))],
  );
}

export async function deleteRecord(db: Queryable, stateSchema: string, id: string): Promise<void> {
  await db.query(`DELETE FROM ${quoteIdentifier(stateSchema)}.migrations WHERE id = $1`, [id]);
}

function toParam(field: string, value: unknown): unknown {
  return JSON_FIELDS.has(field) && value !== null ? JSON.stringify(value) : value;
}
