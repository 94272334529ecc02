import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { embeddableSql, notEmbeddedSql, notQuarantinedSql, STALE_MODEL } from '../sql/pending.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { hasQuarantine } from '../state/quarantine.ts';

/** Every row is in exactly one of done, pending, skipped, quarantined. */
export interface RowTally {
  readonly total: number;
  readonly done: number;
  readonly pending: number;
  /** NULL, empty or blank text. */
  readonly skipped: number;
  readonly quarantined: number;
}

/** No model has this id: against it every row counts as not embedded. */
const NO_MODEL = 0;

/**
 * Counts by reading the whole table.
 *
 * @param target without provenance, done means that there is a vector
 * @param migrationId undefined where there is no state to look for quarantined rows in
 */
export async function tallyRows(
  db: Queryable,
  target: VectorTarget,
  modelId: number | null,
  migrationId: string | undefined,
): Promise<RowTally> {
  const quarantine = migrationId !== undefined && (await hasQuarantine(db, target.stateSchema, migrationId));
  const open = notEmbeddedSql(target, 't', modelId ?? NO_MODEL);
  return tally(db, target, open, quarantine ? notQuarantinedSql(target, 't', migrationId) : 'true');
}

/** The tally of a table without a new column: nothing is done. */
export async function tallyUntouched(db: Queryable, target: VectorTarget): Promise<RowTally> {
  return tally(db, target, 'true', 'true');
}

async function tally(db: Queryable, target: VectorTarget, open: string, free: string): Promise<RowTally> {
  const embeddable = embeddableSql(target, 't');
  const { rows } = await db.query<RowTally>(
    `SELECT pg_catalog.count(*)::float8 AS total,
       pg_catalog.count(*) FILTER (WHERE NOT (${open}))::float8 AS done,
       pg_catalog.count(*) FILTER (WHERE ${open} AND ${embeddable} AND ${free})::float8 AS pending,
       pg_catalog.count(*) FILTER (WHERE ${open} AND ${embeddable} IS NOT TRUE)::float8 AS skipped,
       pg_catalog.count(*) FILTER (WHERE ${open} AND ${embeddable} AND NOT (${free}))::float8 AS quarantined
     FROM ${tableSql(target)} t`,
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`no counts of ${target.schema}.${target.table}`);
  return row;
}

/** Vectors by who made them. */
export interface Provenance {
  readonly own: number;
  /** Mapped from the old vectors by the adapter that the record names. */
  readonly adapted: number;
  /** A vector without provenance: written by the application (or by someone past the trigger). */
  readonly unrecorded: number;
  /** After the swap: marked by the trigger, as the text was edited since. */
  readonly stale: number;
  /** By any other model or adapter. */
  readonly foreign: number;
}

/** Counts by reading the whole table. */
export async function readProvenance(db: Queryable, target: VectorTarget, modelId: number | null): Promise<Provenance> {
  const model = target.provenance === undefined ? 'NULL::int' : `t.${quoteIdentifier(target.provenance.model)}`;
  const counted = (condition: string): string => `pg_catalog.count(*) FILTER (WHERE ${condition})::float8`;
  const known = `${STALE_MODEL}, COALESCE($1::int, ${NO_MODEL}), COALESCE($2::int, ${NO_MODEL})`;
  const { rows } = await db.query<Provenance>(
    `SELECT ${counted(`${model} = $1::int`)} AS own, ${counted(`${model} = $2::int`)} AS adapted, ${counted(`${model} IS NULL`)} AS unrecorded,
       ${counted(`${model} = ${STALE_MODEL}`)} AS stale, ${counted(`${model} NOT IN (${known})`)} AS "foreign"
     FROM ${tableSql(target)} t WHERE t.${quoteIdentifier(target.column)} IS NOT NULL`,
    [modelId, target.adapted?.modelId ?? null],
  );
  return rows[0] ?? { own: 0, adapted: 0, unrecorded: 0, stale: 0, foreign: 0 };
}

/** Ids of other models and adapters whose vectors stand in the column, most rows first. */
export async function readForeignModels(
  db: Queryable,
  target: VectorTarget,
  modelId: number | null,
): Promise<number[]> {
  if (target.provenance === undefined) return [];
  const model = `t.${quoteIdentifier(target.provenance.model)}`;
  const known = [STALE_MODEL, modelId ?? NO_MODEL, target.adapted?.modelId ?? NO_MODEL];
  const { rows } = await db.query<{ id: number }>(
    `SELECT ${model} AS id FROM ${tableSql(target)} t WHERE t.${quoteIdentifier(target.column)} IS NOT NULL AND ${model} <> ALL ($1::int[])
     GROUP BY 1 ORDER BY pg_catalog.count(*) DESC, 1 LIMIT 3`,
    [`{${known.join(',')}}`],
  );
  return rows.map(({ id }) => id);
}
