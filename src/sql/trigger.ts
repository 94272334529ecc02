import { fitIdentifier, quoteIdentifier, quoteQualified } from './identifiers.ts';
import { STALE_MODEL } from './pending.ts';
import { type OldVectors, tableSql, type VectorTarget, vectorSendSql } from './target.ts';
import { textSql } from './text-source.ts';

/** BEFORE triggers fire in order of their names: this one must see the text after every other trigger has rewritten it. */
export function triggerName(migrationId: string): string {
  return fitIdentifier('zzz_reembed_', migrationId);
}

/** After the swap, and where an adapter's vectors are, a second one beside it tells changes of vectors from changes of texts. */
function vectorTriggerName(migrationId: string): string {
  return fitIdentifier(triggerName(migrationId), '_vector');
}

/** What `createTriggerSql` makes on the table. */
export function triggerNames({ adapted }: VectorTarget, migrationId: string): string[] {
  const name = triggerName(migrationId);
  return adapted?.from === undefined ? [name] : [name, vectorTriggerName(migrationId)];
}

/** The function behind the trigger, in the state schema. */
function functionSql(target: VectorTarget, migrationId: string): string {
  return `${quoteQualified(target.stateSchema, fitIdentifier('invalidate_', migrationId))}`;
}

/**
 * Statements that (re)create the trigger and its function on `target.column`.
 *
 * When a row's text bytes change and the statement did not also write the vector, vector and provenance become NULL, so that no
 * vector of another text survives. When the vector is written by anyone but reembed (provenance untouched), only the
 * provenance is cleared: the row counts as not embedded by us.
 *
 * While an adapter's vectors stand in the column, they also go when the old one changes that they were mapped from; and a row whose text changes
 * without its old vector is marked with `STALE_MODEL`: the old vector is of the former text, and must not be mapped again.
 */
export function createTriggerSql(target: VectorTarget, migrationId: string, options: { always: boolean }): string[] {
  if (target.adapted?.from !== undefined)
    return createAdaptedTriggerSql(target, target.adapted.from, migrationId, options);
  const triggers = [{ name: triggerName(migrationId), condition: triggerCondition(target), passes: '' }];
  return installSql(target, migrationId, triggers, clearSql(target), options);
}

function createAdaptedTriggerSql(
  target: VectorTarget,
  from: OldVectors,
  migrationId: string,
  options: { always: boolean },
): string[] {
  const outdated = `${textChanged(target)} AND NOT (${bytesChanged(target, from)})`;
  const triggers = [
    { name: triggerName(migrationId), condition: outdated, passes: "'outdated'" },
    {
      name: vectorTriggerName(migrationId),
      condition: `(${triggerCondition(target)}) AND NOT (${outdated})`,
      passes: "'other'",
    },
  ];
  const mark =
    target.provenance === undefined ? '' : `NEW.${quoteIdentifier(target.provenance.model)} := ${STALE_MODEL};`;
  const body = `${clearSql(target)} IF TG_ARGV[0] = 'outdated' THEN ${mark} END IF;`;
  return installSql(target, migrationId, triggers, body, options);
}

/** The columns that the trigger watches after the swap. */
export interface SwappedColumns {
  /** The new vectors, which the application reads and writes. */
  readonly served: VectorTarget;
  /** The old ones; undefined when they were dropped. */
  readonly kept: VectorTarget | undefined;
}

/**
 * The same after the swap, on both columns. The kept one goes by the rule above, so that going back never serves another text's
 * vector. The served vector stays when only the text changes, as its row must not vanish from search, and is marked: its model becomes
 * `STALE_MODEL`, and it is pending. A vector that the application writes is its own: its provenance is cleared.
 *
 * Whether the text changed is asked in a trigger's WHEN alone, which follows renamed columns and was parsed when it was made. The function
 * finds columns by their names, with the rights of the role that writes: naming the text there, a renaming or a role that may not call what
 * the expression calls would end the application's writes.
 */
export function createSwappedTriggerSql(
  { served, kept }: SwappedColumns,
  migrationId: string,
  options: { always: boolean },
): string[] {
  const watched = [served, ...(kept === undefined ? [] : [kept])];
  const written = watched
    .filter((target) => target.provenance !== undefined)
    .map((target) => `(${provenanceUntouched(target)} AND ${vectorChanged(target)})`)
    .join(' OR ');
  const text = textChanged(served);
  const triggers = [
    { name: triggerName(migrationId), condition: text, passes: "'text'" },
    {
      name: vectorTriggerName(migrationId),
      condition: `(${written || 'false'}) AND NOT (${text})`,
      passes: "'vector'",
    },
  ];
  const body = `IF TG_ARGV[0] = 'text' THEN ${markStaleSql(served)} ${kept === undefined ? '' : clearSql(kept)} ELSE ${watched.map(disownSql).join(' ')} END IF;`;
  return installSql(served, migrationId, triggers, body, options);
}

interface Trigger {
  readonly name: string;
  readonly condition: string;
  /** What the function is called with. */
  readonly passes: string;
}

function installSql(
  target: VectorTarget,
  migrationId: string,
  triggers: readonly Trigger[],
  body: string,
  options: { always: boolean },
): string[] {
  const table = tableSql(target);
  const fn = functionSql(target, migrationId);
  return [
    `CREATE OR REPLACE FUNCTION ${fn}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS ` +
      `$reembed$ BEGIN ${body} RETURN NEW; END $reembed$`,
    `REVOKE ALL ON FUNCTION ${fn}() FROM PUBLIC`,
    ...dropTriggersSql(target, migrationId),
    ...triggers.flatMap(({ name, condition, passes }) => [
      `CREATE TRIGGER ${quoteIdentifier(name)} BEFORE UPDATE ON ${table} FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION ${fn}(${passes})`,
      ...(options.always ? [`ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${quoteIdentifier(name)}`] : []),
    ]),
  ];
}

function dropTriggersSql(target: VectorTarget, migrationId: string): string[] {
  const names = [triggerName(migrationId), vectorTriggerName(migrationId)];
  return names.map((name) => `DROP TRIGGER IF EXISTS ${quoteIdentifier(name)} ON ${tableSql(target)}`);
}

/** Statements that remove what was made on the table, and the function; harmless when they are gone already. */
export function dropTriggerSql(target: VectorTarget, migrationId: string): string[] {
  return [...dropTriggersSql(target, migrationId), `DROP FUNCTION IF EXISTS ${functionSql(target, migrationId)}()`];
}

/** Bytes are compared, as the column's own collation may call different texts equal. */
function textChanged(target: VectorTarget): string {
  const [now, before] = ['NEW', 'OLD'].map((row) => `${textSql(target.text, row)}::text COLLATE pg_catalog."C"`);
  return `${now} IS DISTINCT FROM ${before}`;
}

function bytesChanged(
  target: VectorTarget,
  { column, vectorType }: Pick<VectorTarget, 'column' | 'vectorType'>,
): string {
  const [now, before] = ['NEW', 'OLD'].map((row) =>
    vectorSendSql(target, vectorType, `${row}.${quoteIdentifier(column)}`),
  );
  return `${now} IS DISTINCT FROM ${before}`;
}

/** IS DISTINCT FROM on vectors needs the extension's operators on the search path; their binary form needs nothing. */
function vectorChanged(target: VectorTarget): string {
  return bytesChanged(target, target);
}

/**
 * For the function's body, which is parsed as the role that writes: it may have no right to look into the extension's schema. The text form
 * needs none, and tells two vectors apart by every bit.
 */
function vectorChangedForAnyRole(target: VectorTarget): string {
  const column = quoteIdentifier(target.column);
  return `NEW.${column}::text IS DISTINCT FROM OLD.${column}::text`;
}

function provenanceUntouched(target: VectorTarget): string {
  if (target.provenance === undefined) return 'true';
  const at = quoteIdentifier(target.provenance.at);
  return `NEW.${at} IS NOT DISTINCT FROM OLD.${at}`;
}

/** In the trigger's WHEN, so that a write of the backfill itself never pays for a call. */
function triggerCondition(target: VectorTarget): string {
  if (target.provenance === undefined) return `${textChanged(target)} AND NOT (${vectorChanged(target)})`;
  const changed = [vectorChanged(target), ...sourceChanged(target)].join(' OR ');
  return `${textChanged(target)} OR (${provenanceUntouched(target)} AND (${changed}))`;
}

/** Rows that were mapped, or whose old vector was out of date; every other one is spared the comparison. */
function sourceChanged(target: VectorTarget): string[] {
  const { adapted, provenance } = target;
  if (adapted?.from === undefined || provenance === undefined) return [];
  const by = `OLD.${quoteIdentifier(provenance.model)}`;
  return [`(${by} IN (${STALE_MODEL}, ${adapted.modelId}) AND ${bytesChanged(target, adapted.from)})`];
}

/** What a changed text leaves of a vector that the statement did not write. */
function clearSql(target: VectorTarget): string {
  const clear = `IF NOT (${vectorChangedForAnyRole(target)}) THEN NEW.${quoteIdentifier(target.column)} := NULL; END IF;`;
  return target.provenance === undefined ? clear : `${clear} ${setProvenanceSql(target, 'NULL')}`;
}

function markStaleSql(target: VectorTarget): string {
  if (target.provenance === undefined) return 'NULL;';
  return (
    `IF ${vectorChangedForAnyRole(target)} THEN ${setProvenanceSql(target, 'NULL')} ` +
    `ELSE ${setProvenanceSql(target, String(STALE_MODEL))} END IF;`
  );
}

/** A vector that somebody else wrote is none of ours. */
function disownSql(target: VectorTarget): string {
  if (target.provenance === undefined) return 'NULL;';
  return `IF ${provenanceUntouched(target)} AND ${vectorChangedForAnyRole(target)} THEN ${setProvenanceSql(target, 'NULL')} END IF;`;
}

function setProvenanceSql(target: VectorTarget, model: string): string {
  if (target.provenance === undefined) return 'NULL;';
  const { model: by, hash, at } = target.provenance;
  const set = (name: string, value: string): string => `NEW.${quoteIdentifier(name)} := ${value};`;
  return [set(by, model), set(hash, 'NULL'), set(at, 'NULL')].join(' ');
}
