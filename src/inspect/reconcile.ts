import type { MigrationDefinition } from '../config/types.ts';
import type { TableInfo } from '../db/catalog-types.ts';
import { keptColumnName } from '../sql/exchange.ts';
import type { MigrationRecord, Phase } from '../state/records.ts';
import { hasProvenance } from './provenance-columns.ts';

export type StatusPhase = 'none' | Phase;

/** A migration as state and catalog together show it. */
export interface ReconciledMigration {
  readonly phase: StatusPhase;
  readonly active: 'old' | 'new';
  /** Undefined where there is none, or the catalog does not bear it out. */
  readonly record: MigrationRecord | undefined;
  /** The old column where the catalog shows one without a record saying so. */
  readonly keptColumn: string | null;
  readonly warnings: readonly string[];
}

/** Sets the recorded phase against the columns that are there: the catalog is right. */
export function reconcile(
  definition: MigrationDefinition,
  table: TableInfo,
  records: readonly MigrationRecord[],
): ReconciledMigration {
  const record = records.find((candidate) => candidate.id === definition.id);
  if (record === undefined) return withoutRecord(definition, table, records);
  const name = `"${table.name}.${record.active === 'new' ? record.column : record.target}"`;
  if (record.tableOid !== table.oid) {
    return nothing(`The state knows "${record.id}" on a table of this name that was dropped since; 005 starts again.`);
  }
  if (!hasColumn(table, record.active === 'new' ? record.column : record.target)) {
    return nothing(`The state says ${record.phase}, but column ${name} was dropped; 005 starts again.`);
  }
  if (record.phase === 'swapped' && record.keptColumn !== null && !hasColumn(table, record.keptColumn)) {
    const warning = `The kept column "${table.name}.${record.keptColumn}" was dropped by hand: there is no way back.`;
    return { phase: 'finalized', active: 'new', record, keptColumn: null, warnings: [warning] };
  }
  return { phase: record.phase, active: record.active, record, keptColumn: record.keptColumn, warnings: [] };
}

/** Somebody dropped the state, or 005 never ran: columns with provenance tell which. */
function withoutRecord(
  definition: MigrationDefinition,
  table: TableInfo,
  records: readonly MigrationRecord[],
): ReconciledMigration {
  if (hasProvenance(definition.target, table)) {
    return {
      phase: 'backfilling',
      active: 'old',
      record: undefined,
      keptColumn: null,
      warnings: [
        `Column "${table.name}.${definition.target}" is there, but its state is gone: 005 drops it and starts again.`,
      ],
    };
  }
  const recorded = records.some((other) => other.tableOid === table.oid && other.column === definition.column);
  const column = table.columns.find((candidate) => candidate.name === definition.column);
  if (recorded || !hasProvenance(definition.column, table) || column?.dimensions !== definition.dimensions) {
    return nothing();
  }
  const kept = keptColumnName(definition.column);
  const isKept = hasColumn(table, kept);
  return {
    phase: isKept ? 'swapped' : 'finalized',
    active: 'new',
    record: undefined,
    keptColumn: isKept ? kept : null,
    warnings: [
      `Column "${table.name}.${definition.column}" holds vectors that reembed wrote, but its state is gone: there is no way back.`,
    ],
  };
}

function nothing(...warnings: string[]): ReconciledMigration {
  return { phase: 'none', active: 'old', record: undefined, keptColumn: null, warnings };
}

function hasColumn(table: TableInfo, name: string): boolean {
  return table.columns.some((column) => column.name === name);
}
