import { readVectorExtension } from '../../db/catalog.ts';
import { SQLSTATE, sqlStateOf } from '../../db/sqlstate.ts';
import type { Database, Queryable } from '../../db/types.ts';
import { PreflightError } from '../../errors.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { type MarkSource, markSql, servedSql } from '../../sql/search-list.ts';
import type { StateContext } from '../../state/context.ts';
import { stateDenied, type TransactionSource } from '../active-model.ts';
import { readSearchSide, type SearchSide } from '../search-side.ts';
import { catalogDatabase } from './catalog-database.ts';
import type { Side } from './types.ts';

/** One side's vectors, and the condition for rows that they serve. */
export interface SideLayout extends SearchSide {
  /** `schema.table.column`, for people. */
  readonly name: string;
  readonly served: string;
}

/** All that a request has to know about the table and its migration: read once, true as long as the mark is the same. */
export interface SearchLayout {
  readonly mark: string | null;
  readonly markSql: string;
  readonly active: Side;
  /** A side that is not there has the error that says why. */
  readonly sides: Readonly<Record<Side, SideLayout | PreflightError>>;
  /** Share of the requests that `route` gives to the new model; null where nobody has set one. */
  readonly routePercent: number | null;
  /** The active column may lack rows that the other one has: texts that the new model has refused, or rows that an exchange went ahead without. */
  readonly hasGaps: boolean;
  readonly iterativeScan: boolean;
}

/** Attempts to read a layout that no step changes meanwhile. */
const ATTEMPTS = 5;

/**
 * Reads the layout, in a transaction of its own.
 *
 * @throws PreflightError `table_missing`, `extension_missing`, `text_renamed`, `text_gone`; DatabaseError `state_denied`
 */
export async function readLayout(
  source: TransactionSource,
  { definition, runtime }: Omit<StateContext, 'db'>,
): Promise<SearchLayout> {
  return source.transaction(async (tx) => {
    await tx.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
    const ctx: StateContext = { db: catalogDatabase(tx), definition, runtime };
    try {
      for (let attempt = 1; ; attempt++) {
        const state = await readState(ctx);
        const layout = await readSides(ctx, state);
        // A swap and its rollback between the looks would leave the mark as it was, but not the row.
        const after = await readState(ctx);
        if (after.version === state.version || attempt === ATTEMPTS) return layout;
      }
    } catch (cause) {
      if (sqlStateOf(cause) !== SQLSTATE.insufficientPrivilege) throw cause;
      throw stateDenied(runtime.stateSchema, cause);
    }
  });
}

interface State {
  readonly mark: string | null;
  readonly markSql: string;
  /** Changes with every change of the record. */
  readonly version: string | null;
  readonly active: Side;
  readonly modelId: number | null;
  readonly routePercent: number | null;
  readonly quarantined: boolean;
  readonly hasGaps: boolean;
}

async function readState({ db, definition, runtime }: StateContext): Promise<State> {
  const columns = await readStateColumns(db, runtime.stateSchema);
  const source: MarkSource = { stateSchema: runtime.stateSchema, migrationId: definition.id, columns };
  const mark = markSql(source);
  const none: State = {
    mark: null,
    markSql: mark,
    version: null,
    active: 'old',
    modelId: null,
    routePercent: null,
    quarantined: false,
    hasGaps: false,
  };
  if (columns === undefined) {
    const { rows } = await db.query<{ mark: string }>(`SELECT ${mark} AS mark`);
    return { ...none, mark: rows[0]?.mark ?? null };
  }
  const gaps = columns.includes('has_gaps') ? 'm.has_gaps IS TRUE' : 'false';
  const percent = columns.includes('route_percent') ? 'm.route_percent' : 'NULL::real';
  const { rows } = await db.query<Omit<State, 'markSql'>>(
    `SELECT ${mark} AS mark, m.updated_at::text || m.xmin::text AS version, m.active, m.model_id AS "modelId",
       ${percent} AS "routePercent", ${gaps} AS "hasGaps", EXISTS (SELECT 1 FROM ${quoteQualified(runtime.stateSchema, 'quarantine')} q
         WHERE q.migration_id = m.id) AS quarantined
     FROM ${quoteQualified(runtime.stateSchema, 'migrations')} m WHERE m.id = $1`,
    [definition.id],
  );
  return { ...none, ...rows[0] };
}

/** Undefined before 005. */
async function readStateColumns(db: Queryable, schema: string): Promise<readonly string[] | undefined> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT a.attname AS name FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`,
    [quoteQualified(schema, 'migrations')],
  );
  return rows.length === 0 ? undefined : rows.map(({ name }) => name);
}

async function readSides(ctx: StateContext, state: State): Promise<SearchLayout> {
  const sides = {
    old: await readSide(ctx, 'old', state.modelId),
    new: await readSide(ctx, 'new', state.modelId),
  };
  for (const side of [sides.old, sides.new]) {
    // Neither is there when the table itself is not: that is no side's fault.
    if (side instanceof PreflightError && !ABSENT_SIDE.has(side.code)) throw side;
  }
  return {
    mark: state.mark,
    markSql: state.markSql,
    active: state.active,
    sides,
    routePercent: state.routePercent,
    hasGaps: state.hasGaps || (state.active === 'new' && state.quarantined),
    iterativeScan: await hasIterativeScan(ctx.db),
  };
}

/** Codes of a side that is not there in this phase. */
export const ABSENT_SIDE: ReadonlySet<string> = new Set(['not_expanded', 'old_column_gone']);

async function readSide(ctx: StateContext, wanted: Side, modelId: number | null): Promise<SideLayout | PreflightError> {
  try {
    const side = await readSearchSide(ctx, wanted);
    const { schema, table, column } = side.target;
    return { ...side, name: `${schema}.${table}.${column}`, served: servedSql(side.target, modelId) };
  } catch (error) {
    if (error instanceof PreflightError) return error;
    throw error;
  }
}

/** `hnsw.iterative_scan` and `ivfflat.iterative_scan` came with pgvector 0.8. */
async function hasIterativeScan(db: Database): Promise<boolean> {
  const [major = 0, minor = 0] = (await readVectorExtension(db)).version.split('.').map(Number);
  return major > 0 || minor >= 8;
}
