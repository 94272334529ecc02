import type { MigrationDefinition } from '../config/types.ts';
import type { TableInfo } from '../db/catalog-types.ts';
import { keptColumnName, keptIndexName } from '../sql/exchange.ts';
import { provenanceOf } from '../sql/target.ts';
import type { MigrationRecord } from '../state/records.ts';
import { errorFinding, type Finding } from './finding.ts';
import { hasProvenance } from './provenance-columns.ts';

/** Names that the new column and the exchange need, and other migrations of the same column. */
export function nameFindings(
  definition: MigrationDefinition,
  table: TableInfo,
  records: readonly MigrationRecord[],
): Finding[] {
  const record = records.find((candidate) => candidate.id === definition.id);
  const others = records.filter((candidate) => candidate.id !== definition.id);
  if (record?.active === 'new') return [];
  return [
    ...overlapFindings(definition, table, others),
    ...(record !== undefined || hasProvenance(definition.target, table)
      ? []
      : provenanceFindings(definition.target, table, definition)),
    ...(hasProvenance(definition.column, table) ? [] : provenanceFindings(definition.column, table, definition)),
    ...keptFindings(definition, table, others),
    ...indexNameFindings(definition, table, others),
  ];
}

function overlapFindings(
  definition: MigrationDefinition,
  table: TableInfo,
  others: readonly MigrationRecord[],
): Finding[] {
  return others
    .filter((other) => other.active === 'old' && other.phase !== 'finalized')
    .filter((other) => other.column === definition.column || other.target === definition.target)
    .map((other) =>
      errorFinding(
        'migration_overlaps',
        `The migration "${other.id}" (phase ${other.phase}) already works on "${table.name}.${other.column}".`,
        `Take it to its end or undo it first: "reembed down --migration ${other.id}".`,
      ),
    );
}

function provenanceFindings(column: string, table: TableInfo, definition: MigrationDefinition): Finding[] {
  const taken = Object.values(provenanceOf(column)).filter((name) => has(table, name));
  const hint =
    column === definition.target
      ? 'Set another "target" in reembed.config.ts (or REEMBED_TARGET_COLUMN), or rename the column.'
      : 'Rename the column in the application: after the swap reembed keeps there which model a vector is from.';
  return taken.map((name) =>
    errorFinding(
      'name_taken',
      `Column "${table.name}.${name}" belongs to the application, and its name is needed beside "${column}".`,
      hint,
    ),
  );
}

/** After the swap the old column is kept under its own name with `_old`, its provenance likewise. */
function keptFindings(
  definition: MigrationDefinition,
  table: TableInfo,
  others: readonly MigrationRecord[],
): Finding[] {
  const kept = keptColumnName(definition.column);
  const names = [kept, ...(hasProvenance(definition.column, table) ? Object.values(provenanceOf(kept)) : [])];
  const taken = names.find((name) => has(table, name));
  if (taken === undefined) return [];
  const keeper = others.find((other) => other.keptColumn === kept);
  if (keeper !== undefined) {
    return [
      errorFinding(
        'old_column_kept',
        `Column "${table.name}.${kept}" is still kept from the migration "${keeper.id}".`,
        `Run "reembed finalize --migration ${keeper.id}" first; it drops that column.`,
      ),
    ];
  }
  return [
    errorFinding(
      'name_taken',
      `Column "${table.name}.${taken}" exists, and the swap needs its name for the old column.`,
      'Drop it if it is left from an earlier migration, else rename it.',
    ),
  ];
}

/** The old indexes stay beside the kept column under their names with `_old`; those of a column still kept go with it. */
function indexNameFindings(
  definition: MigrationDefinition,
  table: TableInfo,
  others: readonly MigrationRecord[],
): Finding[] {
  if (others.some((other) => other.keptColumn === keptColumnName(definition.column))) return [];
  const names = new Set(table.indexes.map((index) => index.name));
  return table.indexes
    .filter((index) => index.columns.includes(definition.column) && names.has(keptIndexName(index.name)))
    .map((index) =>
      errorFinding(
        'name_taken',
        `Index "${keptIndexName(index.name)}" exists, and the swap needs its name for the old index "${index.name}".`,
        'Drop or rename it.',
      ),
    );
}

function has(table: TableInfo, name: string): boolean {
  return table.columns.some((column) => column.name === name);
}
