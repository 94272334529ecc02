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
  /** A vector without provenance: written by the application (or by someone past the trigger). */
  readonly unrecorded: number;
  /** After the swap: marked by the trigger, as the text was edited since. */
  readonly stale: number;
  readonly foreign: number;
}

export async function readProvenance(db: Queryable, target: VectorTarget, modelId: number | null): Promise<Provenance> {
  const column = `t.${quoteIdentifier(target.column)}`;
  const model = target.provenance === undefined ? 'NULL::int' : `t.${quoteIdentifier(target.provenance.model)}`;
  const { rows } = await db.query<Provenance>(
    `SELECT pg_catalog.count(*) FILTER (WHERE ${model} = $1::int)::float8 AS own,
       pg_catalog.count(*) FILTER (WHERE ${model} IS NULL)::float8 AS unrecorded,
       pg_catalog.count(*) FILTER (WHERE ${model} = ${STALE_MODEL})::float8 AS stale,
       pg_catalog.count(*) FILTER (WHERE ${model} NOT IN (${STALE_MODEL}, COALESCE($1::int, ${NO_MODEL})))::float8 AS "foreign"
     FROM ${tableSql(target)} t WHERE ${column} IS NOT NULL`,
    [modelId],
  );
  return rows[0] ?? { own: 0, unrecorded: 0, stale: 0, foreign: 0 };
}
