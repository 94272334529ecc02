import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import { messageOf, PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import { buildingIndexName, keptColumnName, keptIndexName, notNullCheckName } from '../sql/exchange.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { embeddableSql, notQuarantinedSql } from '../sql/pending.ts';
import { provenanceOf, tableSql, vectorTypeSql } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { oldVectorTarget, type ResolvedMigration } from '../state/resolve.ts';
import { refuseBoundDependents } from './check-dependents.ts';
import { readIndexTree } from './partition-index-names.ts';

/**
 * Refuses an exchange that could not be carried through, before anything is built: name collisions, what is bound to the old column,
 * NOT NULL with rows that will have no vector, CHECKs and a DEFAULT that the new vectors violate. Does nothing after the swap.
 *
 * @throws PreflightError `name_taken`, `column_has_dependents`, `constraint_index`, `not_null_violated`, `check_violated`, `default_unfit`
 */
export async function checkExchange(ctx: MigrationContext, resolved: ResolvedMigration): Promise<void> {
  if (resolved.record.active === 'new') return;
  refuseTakenNames(ctx, resolved);
  await refuseTakenPartNames(ctx, resolved);
  refuseConstraintIndexes(resolved);
  await refuseBoundDependents(ctx, resolved.table, resolved.record.column);
  await refuseNullsUnderNotNull(ctx, resolved);
  await refuseViolatedChecks(ctx, resolved);
  await refuseUnfitDefault(ctx, resolved);
}

function refuse(
  code: string,
  message: string,
  hint: string,
  context: Readonly<Record<string, unknown>>,
): PreflightError {
  return new PreflightError(code, message, { step: 'cut-over', hint, context });
}

function refuseTakenNames(ctx: MigrationContext, resolved: ResolvedMigration): void {
  const { record, table, extension } = resolved;
  const where = `${table.schema}.${table.name}`;
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  const old = oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  const kept = keptColumnName(record.column);
  if (ctx.definition.oldColumn === 'keep') {
    const keptNames = [kept, ...(old?.provenance === undefined ? [] : Object.values(provenanceOf(kept)))];
    const taken = keptNames.find(has);
    if (taken !== undefined) {
      throw refuse(
        'name_taken',
        `${where} has a column "${taken}", the name under which the old vectors would be kept.`,
        `Run "reembed finalize" if an earlier migration left it, else rename or drop "${taken}".`,
        { column: taken },
      );
    }
  }
  const taken = old?.provenance === undefined ? Object.values(provenanceOf(record.column)).find(has) : undefined;
  if (taken !== undefined) {
    throw refuse(
      'name_taken',
      `${where} has a column "${taken}" of its own, the name of a provenance column of the new "${record.column}".`,
      `Rename "${taken}" before the swap.`,
      { column: taken },
    );
  }
  refuseTakenIndexNames(ctx, resolved);
}

function refuseTakenIndexNames(ctx: MigrationContext, { record, table }: ResolvedMigration): void {
  if (ctx.definition.oldColumn === 'drop') return;
  const reading = table.indexes.filter((index) => index.columns.includes(record.column));
  const index = reading.find(({ name }) => table.indexes.some((other) => other.name === keptIndexName(name)));
  if (index === undefined) return;
  throw refuse(
    'name_taken',
    `There is an index "${keptIndexName(index.name)}" already, the name under which "${index.name}" would be kept.`,
    `Rename or drop "${keptIndexName(index.name)}".`,
    { index: keptIndexName(index.name), building: buildingIndexName(index.name) },
  );
}

async function refuseTakenPartNames(ctx: MigrationContext, { record, table }: ResolvedMigration): Promise<void> {
  if (ctx.definition.oldColumn === 'drop') return;
  const { indexes } = await readIndexTree(ctx.db, table);
  for (const { schema, name, columns } of indexes) {
    if (!columns.includes(record.column)) continue;
    const kept = keptIndexName(name);
    const { rows } = await ctx.db.query<{ oid: number | null }>('SELECT pg_catalog.to_regclass($1)::oid AS oid', [
      quoteQualified(schema, kept),
    ]);
    if (rows[0]?.oid === null) continue;
    throw refuse(
      'name_taken',
      `There is a relation "${schema}.${kept}" already, the name under which the index "${name}" of a partition would be kept.`,
      `Rename or drop "${schema}.${kept}".`,
      { index: kept },
    );
  }
}

/** A UNIQUE or EXCLUDE constraint over vectors cannot change its column. */
function refuseConstraintIndexes({ record, table }: ResolvedMigration): void {
  const index = table.indexes.find(
    (candidate) => candidate.backsConstraint && candidate.columns.includes(record.column),
  );
  if (index === undefined) return;
  throw refuse(
    'constraint_index',
    `The constraint "${index.name}" of ${table.schema}.${table.name} covers "${record.column}" and cannot go over to another column.`,
    `Drop the constraint "${index.name}" before the swap and add it again after it.`,
    { constraint: index.name },
  );
}

async function refuseNullsUnderNotNull(
  ctx: MigrationContext,
  { record, table, target }: ResolvedMigration,
): Promise<void> {
  if (!table.columns.some((column) => column.name === record.column && column.notNull)) return;
  const { rows } = await ctx.db.query<{ count: number }>(
    `SELECT pg_catalog.count(*)::float8 AS count FROM ${tableSql(target)} t WHERE t.${quoteIdentifier(target.column)} IS NULL
       AND NOT (COALESCE(${embeddableSql(target, 't')}, false) AND ${notQuarantinedSql(target, 't', record.id)})`,
  );
  const count = rows[0]?.count ?? 0;
  if (count === 0) return;
  throw refuse(
    'not_null_violated',
    `${table.schema}.${table.name}.${record.column} is NOT NULL, and ${count} ${plural(count, 'row')} will have no new vector: ${plural(count, 'its', 'their')} text is empty, blank or in quarantine.`,
    `Give these rows a text, delete them, or run "ALTER TABLE ${tableSql(target)} ALTER COLUMN ${quoteIdentifier(record.column)} DROP NOT NULL".`,
    { rows: count },
  );
}

async function refuseViolatedChecks(ctx: MigrationContext, resolved: ResolvedMigration): Promise<void> {
  const { record, table, target } = resolved;
  const checks = table.checks.filter(
    (check) => check.columns.includes(record.column) && check.name !== notNullCheckName(record.id),
  );
  for (const check of checks) {
    const violating = await findViolation(ctx, resolved, check.expression);
    if (violating === undefined) continue;
    throw refuse(
      'check_violated',
      `The CHECK "${check.name}" of ${table.schema}.${table.name} does not hold for the new vectors: ${violating}.`,
      `Drop it ("ALTER TABLE ${tableSql(target)} DROP CONSTRAINT ${quoteIdentifier(check.name)}") or change it so that it holds for both, then run the same command again.`,
      { constraint: check.name, definition: check.definition },
    );
  }
}

/** The expression over real rows with the new vector in the old one's place; without any, over a vector made up. */
async function findViolation(
  ctx: MigrationContext,
  { record, table, target }: ResolvedMigration,
  expression: string,
): Promise<string | undefined> {
  const others = table.columns.filter((column) => column.name !== record.column && column.name !== target.column);
  const name = quoteIdentifier(record.column);
  const key = table.key.map((column) => `${quoteIdentifier(column.name)}::text`).join(` || ', ' || `);
  const list = [
    ...others.map((column) => quoteIdentifier(column.name)),
    `${quoteIdentifier(target.column)} AS ${name}`,
  ];
  const { rows } = await ctx.db.query<{ key: string | null }>(
    `SELECT ${key === '' ? 'NULL::text' : key} AS key FROM (SELECT ${list.join(', ')} FROM ${tableSql(target)}
       WHERE ${quoteIdentifier(target.column)} IS NOT NULL) t WHERE NOT (${expression}) LIMIT 1`,
  );
  if (rows.length > 0)
    return rows[0]?.key === null ? 'a row violates it' : `the row with key ${rows[0]?.key} violates it`;
  const nulls = others.map((column) => `NULL::${column.type} AS ${quoteIdentifier(column.name)}`);
  const vector = `pg_catalog.array_fill(0.5::real, ARRAY[${target.dimensions}])::${vectorTypeSql(target)} AS ${name}`;
  const made = await ctx.db.query<{ violated: boolean | null }>(
    `SELECT NOT (${expression}) AS violated FROM (SELECT ${[...nulls, vector].join(', ')}) t`,
  );
  const isEmpty = await hasNoVector(ctx, target);
  return isEmpty && made.rows[0]?.violated === true
    ? `a vector of ${target.dimensions} dimensions violates it`
    : undefined;
}

async function hasNoVector(ctx: MigrationContext, target: ResolvedMigration['target']): Promise<boolean> {
  const { rows } = await ctx.db.query(
    `SELECT 1 FROM ${tableSql(target)} WHERE ${quoteIdentifier(target.column)} IS NOT NULL LIMIT 1`,
  );
  return rows.length === 0;
}

async function refuseUnfitDefault(ctx: MigrationContext, { record, table, target }: ResolvedMigration): Promise<void> {
  const defaultSql = table.columns.find((column) => column.name === record.column)?.defaultSql;
  if (defaultSql === null || defaultSql === undefined) return;
  try {
    await ctx.db.query(`SELECT (${defaultSql})::${vectorTypeSql(target)}`);
  } catch (cause) {
    if (sqlStateOf(cause) === undefined || sqlStateOf(cause) === SQLSTATE.insufficientPrivilege) throw cause;
    throw refuse(
      'default_unfit',
      `The DEFAULT of ${table.schema}.${table.name}.${record.column} does not fit ${target.vectorType}(${target.dimensions}): ${messageOf(cause)}.`,
      `Run "ALTER TABLE ${tableSql(target)} ALTER COLUMN ${quoteIdentifier(record.column)} DROP DEFAULT", then the same command again.`,
      { default: defaultSql },
    );
  }
}
