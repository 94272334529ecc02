import { readTable, readVectorExtension } from '../db/catalog.ts';
import type { ColumnInfo, TableInfo } from '../db/catalog-types.ts';
import { readExpression } from '../db/read-expression.ts';
import { PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import { keptColumnName } from '../sql/exchange.ts';
import { provenanceOf, type VectorTarget } from '../sql/target.ts';
import type { TextSource } from '../sql/text-source.ts';
import type { MigrationContext } from '../state/context.ts';
import type { MigrationRecord } from '../state/records.ts';
import { findRecord } from '../state/resolve.ts';
import type { BackupManifest } from './backup-format.ts';

/** Where a backup goes. */
export interface RestorePlan {
  readonly target: VectorTarget;
  readonly table: TableInfo;
  readonly record: MigrationRecord | undefined;
  /** The column is not there and will be added. */
  readonly createsColumn: boolean;
  /** It will be the swapped migration's kept column again. */
  readonly becomesKept: boolean;
}

/**
 * Decides into which column a backup goes and whether it fits; changes nothing.
 *
 * @throws PreflightError `restore_target` when the column has to be named, `backup_mismatch` with everything that does not fit
 */
export async function planRestore(
  ctx: MigrationContext,
  manifest: BackupManifest,
  into: string | undefined,
): Promise<RestorePlan> {
  const table = await readTable(ctx.db, ctx.definition.table);
  const extension = await readVectorExtension(ctx.db);
  const record = await findRecord(ctx);
  const column = into ?? defaultColumn(manifest, record, table);
  const present = table.columns.find((candidate) => candidate.name === column);
  const problems = [...tableProblems(manifest, table), ...columnProblems(manifest, table, present)];
  const text = await readManifestText(ctx, manifest, table, column);
  if ('problem' in text) problems.push(text.problem);
  if (ctx.definition.userTriggers === 'refuse') problems.push(...triggerProblems(table, column));
  if (problems.length > 0 || 'problem' in text) throw mismatch(manifest, problems);
  const provenance = provenanceOf(column);
  const tracked = present === undefined || table.columns.some((candidate) => candidate.name === provenance.model);
  return {
    table,
    record,
    createsColumn: present === undefined,
    becomesKept: present === undefined && isDroppedOld(manifest, record),
    target: {
      schema: table.schema,
      table: table.name,
      key: table.key,
      text: text.source,
      column,
      provenance: manifest.hasProvenance && tracked ? provenance : undefined,
      vectorType: manifest.vectorType,
      dimensions: manifest.dimensions,
      vectorSchema: extension.schema,
      stateSchema: ctx.runtime.stateSchema,
    },
  };
}

/** The old vectors of a swapped migration whose old column was dropped. */
function isDroppedOld(manifest: BackupManifest, record: MigrationRecord | undefined): boolean {
  return (
    manifest.vectors === 'old' &&
    record?.id === manifest.migration &&
    record.active === 'new' &&
    record.keptColumn === null
  );
}

/** The column that holds the same vectors today: a name alone may mean another model's since the swap. */
function defaultColumn(manifest: BackupManifest, record: MigrationRecord | undefined, table: TableInfo): string {
  if (record !== undefined && record.id === manifest.migration) {
    if (manifest.vectors === 'new') return record.active === 'new' ? record.column : record.target;
    if (manifest.vectors === 'old') {
      return record.active === 'new' ? (record.keptColumn ?? keptColumnName(record.column)) : record.column;
    }
  }
  if (!table.columns.some((candidate) => candidate.name === manifest.column)) return manifest.column;
  throw new PreflightError(
    'restore_target',
    `The backup is of "${manifest.column}" in the migration "${manifest.migration}"; that column may hold other vectors today.`,
    { step: 'restore', hint: `Name the column to write: --into ${manifest.column}, or a new one.` },
  );
}

function tableProblems(manifest: BackupManifest, table: TableInfo): string[] {
  const problems: string[] = [];
  const wanted = `${manifest.schema}.${manifest.table}`;
  const observed = `${table.schema}.${table.name}`;
  if (wanted !== observed) problems.push(`the backup is of table ${wanted}, the migration is of ${observed}`);
  const keyOf = (key: BackupManifest['key']): string =>
    `(${key.map(({ name, type }) => `${name} ${type}`).join(', ')})`;
  if (keyOf(manifest.key) !== keyOf(table.key)) {
    problems.push(`the backup's key is ${keyOf(manifest.key)}, the table's is ${keyOf(table.key)}`);
  }
  return problems;
}

/** An expression comes from a file that anybody may have written: the database reads it, or it is not used. */
async function readManifestText(
  ctx: MigrationContext,
  manifest: BackupManifest,
  table: TableInfo,
  vector: string,
): Promise<{ readonly source: TextSource } | { readonly problem: string }> {
  const { text, textExpression } = manifest;
  if (textExpression === undefined) {
    return table.columns.some((column) => column.name === text)
      ? { source: text }
      : { problem: `the table has no column "${text}", whose text the vectors belong to` };
  }
  try {
    return { source: await readExpression(ctx.db, table, textExpression, [vector]) };
  } catch (error) {
    if (!(error instanceof PreflightError)) throw error;
    return { problem: `the text that the vectors belong to cannot be made any more: ${error.message}` };
  }
}

function columnProblems(manifest: BackupManifest, table: TableInfo, present: ColumnInfo | undefined): string[] {
  if (present === undefined) return [];
  const problems: string[] = [];
  const stated = typeName(manifest.vectorType, manifest.dimensions === 0 ? null : manifest.dimensions);
  const observed = typeName(present.typeName, present.dimensions);
  if (stated !== observed) problems.push(`the backup holds ${stated}, column "${present.name}" is ${observed}`);
  if (present.generated) problems.push(`column "${present.name}" is generated`);
  if (present.notNull && manifest.nullVectors > 0) {
    problems.push(
      `the backup has ${manifest.nullVectors} ${plural(manifest.nullVectors, 'row')} without a vector, column "${present.name}" is NOT NULL`,
    );
  }
  const tracked = table.columns.some((column) => column.name === provenanceOf(present.name).model);
  if (tracked && !manifest.hasProvenance) {
    problems.push(`the backup does not know which model made its vectors, column "${present.name}" records that`);
  }
  return problems;
}

function typeName(type: string, dimensions: number | null): string {
  return dimensions === null ? type : `${type}(${dimensions})`;
}

/** Triggers that every restored row would fire; one declared for other columns only is not concerned. */
function triggerProblems(table: TableInfo, column: string): string[] {
  const firing = table.updateTriggers.filter((trigger) => {
    const columns = / UPDATE OF (.+?) ON /.exec(trigger.definition)?.[1];
    return trigger.enabled && (columns === undefined || columns.includes(column));
  });
  if (firing.length === 0) return [];
  const names = firing.map((trigger) => trigger.name).join(', ');
  return [
    `every restored row would fire the table's own UPDATE triggers (${names}); set userTriggers: 'fire' if that is harmless`,
  ];
}

function mismatch(manifest: BackupManifest, problems: readonly string[]): PreflightError {
  return new PreflightError(
    'backup_mismatch',
    `The backup ${manifest.file} does not fit: ${problems.join('; ')}. Nothing was changed.`,
    {
      step: 'restore',
      hint: 'Choose the migration with --migration, another column with --into, or another backup ("reembed status" lists them).',
      context: { problems },
    },
  );
}
