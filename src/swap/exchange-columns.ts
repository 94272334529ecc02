import type { ColumnInfo, TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { IntegrityError } from '../errors.ts';
import {
  applyPropertiesSql,
  type ColumnProperties,
  dropVectorColumnSql,
  renameVectorColumnSql,
  stripPropertiesSql,
} from '../sql/exchange.ts';
import { triggerName } from '../sql/trigger.ts';
import { type ColumnRoles, readColumnProperties } from './column-properties.ts';
import { applyPartitionsSql, readPartitionProperties, stripPartitionsSql } from './partition-properties.ts';

/** Statements that exchange two vector columns; what belongs to the name goes with the name. Reads the catalog, changes nothing. */
export async function exchangeColumnsSql(
  tx: Queryable,
  table: TableInfo,
  roles: ColumnRoles,
  migrationId: string,
): Promise<string[]> {
  const { outgoing, outgoingName, incoming } = roles;
  const name = { schema: table.schema, table: table.name };
  const read = (column: string): Promise<ColumnProperties> =>
    readColumnProperties(tx, table, columnOf(table, column), migrationId);
  const moving = await read(outgoing.column);
  // CHECKs and a NOT NULL that someone put on the incoming column are about its values and stay with them.
  const returning: ColumnProperties = { ...(await read(incoming.column)), checks: [], notNull: false };
  const columns = [outgoing.column, incoming.column];
  const partitions = table.kind === 'p' ? await readPartitionProperties(tx, table.oid, columns, migrationId) : [];
  return [
    ...stripPropertiesSql(name, outgoing.column, moving, migrationId),
    ...stripPropertiesSql(name, incoming.column, returning, migrationId),
    ...stripPartitionsSql(partitions, incoming.column, migrationId),
    ...(outgoingName === undefined
      ? [dropVectorColumnSql(name, outgoing)]
      : renameVectorColumnSql(name, outgoing, outgoingName)),
    ...renameVectorColumnSql(name, incoming, outgoing.column),
    ...applyPropertiesSql(
      name,
      outgoing.column,
      { ...moving, notNull: moving.notNull && roles.keepNotNull },
      migrationId,
    ),
    ...(outgoingName === undefined ? [] : applyPropertiesSql(name, outgoingName, returning, migrationId)),
    ...applyPartitionsSql(partitions, roles, migrationId),
  ];
}

function columnOf(table: TableInfo, name: string): ColumnInfo {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  throw new IntegrityError('column_missing', `${table.schema}.${table.name} has no column "${name}" any more.`, {
    step: 'cut-over',
    hint: 'Run "reembed status"; someone changed the table since the migration began.',
  });
}

/** `ENABLE ALWAYS`, as it was set on a logical subscriber, is kept when the trigger is made anew. */
export async function isTriggerAlways(tx: Queryable, tableOid: number, migrationId: string): Promise<boolean> {
  const { rows } = await tx.query<{ always: boolean }>(
    `SELECT tgenabled = 'A' AS always FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgname = $2`,
    [tableOid, triggerName(migrationId)],
  );
  return rows[0]?.always === true;
}
