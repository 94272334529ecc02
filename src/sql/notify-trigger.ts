import { fitIdentifier, quoteIdentifier, quoteLiteral, quoteQualified } from './identifiers.ts';
import { tableSql, type VectorTarget } from './target.ts';
import { triggerName } from './trigger.ts';

type Watched = Pick<VectorTarget, 'schema' | 'table' | 'stateSchema'>;

/** The channel on which the table's writers wake a sync worker. */
export function notifyChannel(migrationId: string): string {
  return fitIdentifier('reembed_', migrationId);
}

export function notifyTriggerName(migrationId: string): string {
  return fitIdentifier(triggerName(migrationId), '_notify');
}

function functionSql(target: Watched, migrationId: string): string {
  return quoteQualified(target.stateSchema, fitIdentifier('notify_', migrationId));
}

/**
 * Statements that (re)create the trigger that wakes a sync worker: once a statement, without a word about the rows. Our own writes wake
 * nobody: their commits need not queue for the lock that every NOTIFY takes.
 */
export function createNotifyTriggerSql(target: Watched, migrationId: string): string[] {
  const fn = functionSql(target, migrationId);
  const name = quoteIdentifier(notifyTriggerName(migrationId));
  return [
    `CREATE OR REPLACE FUNCTION ${fn}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS ` +
      "$reembed$ BEGIN IF pg_catalog.current_setting('application_name') <> 'reembed' THEN " +
      `PERFORM pg_catalog.pg_notify(${quoteLiteral(notifyChannel(migrationId))}, ''); END IF; RETURN NULL; END $reembed$`,
    `REVOKE ALL ON FUNCTION ${fn}() FROM PUBLIC`,
    `DROP TRIGGER IF EXISTS ${name} ON ${tableSql(target)}`,
    `CREATE TRIGGER ${name} AFTER INSERT OR UPDATE ON ${tableSql(target)} FOR EACH STATEMENT EXECUTE FUNCTION ${fn}()`,
  ];
}

/** Harmless when they are gone already. */
export function dropNotifyTriggerSql(target: Watched, migrationId: string): string[] {
  return [
    `DROP TRIGGER IF EXISTS ${quoteIdentifier(notifyTriggerName(migrationId))} ON ${tableSql(target)}`,
    `DROP FUNCTION IF EXISTS ${functionSql(target, migrationId)}()`,
  ];
}
