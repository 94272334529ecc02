import { fitIdentifier, quoteIdentifier, quoteQualified } from './identifiers.ts';
import { STALE_MODEL } from './pending.ts';
import { tableSql, type VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';

/** BEFORE triggers fire in order of their names: this one must see the text after every other trigger has rewritten it. */
export function triggerName(migrationId: string): string {
  return fitIdentifier('zzz_reembed_', migrationId);
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
 */
export function createTriggerSql(target: VectorTarget, migrationId: string, options: { always: boolean }): string[] {
  return installSql(target, migrationId, triggerCondition(target), clearSql(target), options);
}

/** The columns that the trigger watches after the swap. */
export interface SwappedColumns {
  /** The new vectors, which the application reads and writes. */
  readonly served: VectorTarget;
  /** The old ones; undefined when they were dropped. */
  readonly kept: VectorTarget | undefined;
}

/**
 * The same trigger after the swap, on both columns. The kept one goes by the rule above, so that going back never serves another text's
 * vector. The served vector stays when only the text changes, as its row must not vanish from search, and is marked: its model becomes
 * `STALE_MODEL`, and it is pending. A vector that the application writes is its own: its provenance is cleared.
 */
export function createSwappedTriggerSql(
  { served, kept }: SwappedColumns,
  migrationId: string,
  options: { always: boolean },
): string[] {
  const condition = [
    textChanged(served),
    ...[served, ...(kept === undefined ? [] : [kept])]
      .filter((target) => target.provenance !== undefined)
      .map((target) => `(${provenanceUntouched(target)} AND ${vectorChanged(target)})`),
  ].join(' OR ');
  const keep = kept === undefined ? '' : ` IF ${firesFor(kept)} THEN ${clearSql(kept)} END IF;`;
  return installSql(served, migrationId, condition, `${markStaleSql(served)}${keep}`, options);
}

function installSql(
  target: VectorTarget,
  migrationId: string,
  condition: string,
  body: string,
  options: { always: boolean },
): string[] {
  const name = quoteIdentifier(triggerName(migrationId));
  const table = tableSql(target);
  const fn = functionSql(target, migrationId);
  const statements = [
    `CREATE OR REPLACE FUNCTION ${fn}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS ` +
      `$reembed$ BEGIN ${body} RETURN NEW; END $reembed$`,
    `REVOKE ALL ON FUNCTION ${fn}() FROM PUBLIC`,
    `DROP TRIGGER IF EXISTS ${name} ON ${table}`,
    `CREATE TRIGGER ${name} BEFORE UPDATE ON ${table} FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION ${fn}()`,
  ];
  if (options.always) statements.push(`ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${name}`);
  return statements;
}

/** Statements that remove the trigger and its function; harmless when they are gone already. */
export function dropTriggerSql(target: VectorTarget, migrationId: string): string[] {
  return [
    `DROP TRIGGER IF EXISTS ${quoteIdentifier(triggerName(migrationId))} ON ${tableSql(target)}`,
    `DROP FUNCTION IF EXISTS ${functionSql(target, migrationId)}()`,
  ];
}

/** Bytes are compared, as the column's own collation may call different texts equal. */
function textChanged(target: VectorTarget): string {
  const [now, before] = ['NEW', 'OLD'].map((row) => `${textSql(target.text, row)}::text COLLATE pg_catalog."C"`);
  return `${now} IS DISTINCT FROM ${before}`;
}

/** IS DISTINCT FROM on vectors needs the extension's operators on the search path; their binary form needs nothing. */
function vectorChanged(target: VectorTarget): string {
  const send = quoteQualified(target.vectorSchema, `${target.vectorType}_send`);
  const column = quoteIdentifier(target.column);
  return `${send}(NEW.${column}) IS DISTINCT FROM ${send}(OLD.${column})`;
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
  return `${textChanged(target)} OR (${provenanceUntouched(target)} AND ${vectorChanged(target)})`;
}

/** `triggerCondition` for the function's body: there the trigger may have fired for the other column. */
function firesFor(target: VectorTarget): string {
  const changed = vectorChangedForAnyRole(target);
  if (target.provenance === undefined) return `${textChanged(target)} AND NOT (${changed})`;
  return `${textChanged(target)} OR (${provenanceUntouched(target)} AND ${changed})`;
}

function clearSql(target: VectorTarget): string {
  const column = quoteIdentifier(target.column);
  if (target.provenance === undefined) return `NEW.${column} := NULL;`;
  return `IF NOT (${vectorChangedForAnyRole(target)}) THEN NEW.${column} := NULL; END IF; ${setProvenanceSql(target, 'NULL')}`;
}

function markStaleSql(target: VectorTarget): string {
  return (
    `IF ${vectorChangedForAnyRole(target)} THEN ${setProvenanceSql(target, 'NULL')} ` +
    `ELSIF ${textChanged(target)} THEN ${setProvenanceSql(target, String(STALE_MODEL))} END IF;`
  );
}

function setProvenanceSql(target: VectorTarget, model: string): string {
  if (target.provenance === undefined) return 'NULL;';
  const { model: by, hash, at } = target.provenance;
  const set = (name: string, value: string): string => `NEW.${quoteIdentifier(name)} := ${value};`;
  return [set(by, model), set(hash, 'NULL'), set(at, 'NULL')].join(' ');
}
