import { fitIdentifier, quoteIdentifier, quoteQualified } from './identifiers.ts';
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
  const name = quoteIdentifier(triggerName(migrationId));
  const table = tableSql(target);
  const fn = functionSql(target, migrationId);
  const statements = [
    `CREATE OR REPLACE FUNCTION ${fn}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS ` +
      `$reembed$ BEGIN ${triggerBody(target)} RETURN NEW; END $reembed$`,
    `REVOKE ALL ON FUNCTION ${fn}() FROM PUBLIC`,
    `DROP TRIGGER IF EXISTS ${name} ON ${table}`,
    `CREATE TRIGGER ${name} BEFORE UPDATE ON ${table} FOR EACH ROW WHEN (${triggerCondition(target)}) EXECUTE FUNCTION ${fn}()`,
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

function triggerBody(target: VectorTarget): string {
  const column = quoteIdentifier(target.column);
  if (target.provenance === undefined) return `NEW.${column} := NULL;`;
  const { model, hash, at } = target.provenance;
  const clear = [model, hash, at].map((name) => `NEW.${quoteIdentifier(name)} := NULL;`).join(' ');
  return `IF NOT (${vectorChangedForAnyRole(target)}) THEN NEW.${column} := NULL; END IF; ${clear}`;
}
