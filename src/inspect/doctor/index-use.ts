import type { TableInfo } from '../../db/catalog-types.ts';
import type { Queryable } from '../../db/types.ts';
import { plural } from '../../plural.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { tableTreeSql } from '../../sql/relation-size.ts';
import { type AnnIndex, annIndexesOn } from '../facts.ts';
import { type Finding, warningFinding } from '../finding.ts';
import { type Examined, type Look, seen, unseen } from './look.ts';

const OPERATORS = { cosine: '<=>', l2: '<->', ip: '<#>', l1: '<+>' } as const;
type Operator = (typeof OPERATORS)[keyof typeof OPERATORS];

interface Scans {
  readonly name: string;
  readonly scans: number;
  /** When counting began, ISO; null since the database was made. */
  readonly since: string | null;
}

/** Calls of statements that name the table, by the distance operator that they contain. */
type Calls = ReadonlyMap<Operator, number>;

/** Whether queries can use the vector indexes: by their scans, and by the operators of the statements that the server remembers. */
export async function lookAtIndexUse(examined: Examined, tx: Queryable): Promise<Look> {
  const { ctx, table } = examined;
  const indexes = annIndexesOn(table, ctx.definition.column).filter((index) => index.valid);
  if (indexes.length === 0) return seen(`no vector index on "${ctx.definition.column}"`);
  const scans = await readScans(tx, table.oid);
  const calls = await readCalls(tx, table);
  const used = indexes.map(({ name }) => {
    const count = scansOf(scans, name);
    return `"${name}" ${count} ${plural(count, 'scan')}`;
  });
  const since = scans[0]?.since ?? null;
  const detail = `${used.join(', ')} since ${since ?? 'the statistics began'}`;
  if (typeof calls === 'string') return unseen(`${calls}; ${detail}`);
  return seen(
    detail,
    indexes.flatMap((index) => useFindings(index, table, scansOf(scans, index.name), calls)),
  );
}

function scansOf(scans: readonly Scans[], name: string): number {
  return scans.find((candidate) => candidate.name === name)?.scans ?? 0;
}

function useFindings(index: AnnIndex, table: TableInfo, scans: number, calls: Calls): Finding[] {
  const own = operatorOf(index);
  if (scans > 0 || own === undefined || (calls.get(own) ?? 0) > 0) return [];
  const others = [...calls].filter(([, count]) => count > 0);
  const [most] = others.sort(([, a], [, b]) => b - a);
  if (most === undefined) return [];
  const seenCalls = others.map(([operator, count]) => `${operator} (${count} ${plural(count, 'call')})`).join(', ');
  const distance = Object.entries(OPERATORS).find(([, operator]) => operator === most[0])?.[0] ?? 'cosine';
  return [
    warningFinding(
      'index_not_used',
      `Index "${index.name}" is for ${own} and was never scanned; the statements on "${table.name}" that pg_stat_statements knows use ${seenCalls}.`,
      `Build one for the operator that is used: set index.distance to '${distance}' for the new one, or CREATE INDEX CONCURRENTLY with its operator class.`,
    ),
  ];
}

function operatorOf({ distance, definition }: AnnIndex): Operator | undefined {
  if (distance !== undefined) return OPERATORS[distance];
  return definition.includes('_l1_ops') ? OPERATORS.l1 : undefined;
}

async function readScans(tx: Queryable, tableOid: number): Promise<readonly Scans[]> {
  const { rows } = await tx.query<Scans>(
    // Of a partitioned table's index those of its parts.
    `SELECT c.relname AS name, COALESCE((SELECT pg_catalog.sum(s.idx_scan) FROM pg_catalog.pg_stat_user_indexes s
         WHERE s.indexrelid IN ${tableTreeSql('i.indexrelid')}), 0)::float8 AS scans,
       (SELECT d.stats_reset FROM pg_catalog.pg_stat_database d WHERE d.datname = pg_catalog.current_database()) AS since
     FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1`,
    [tableOid],
  );
  return rows;
}

/** @returns why it cannot be known, where it cannot */
async function readCalls(tx: Queryable, table: TableInfo): Promise<Calls | string> {
  const { rows: found } = await tx.query<{ schema: string; loaded: boolean }>(
    `SELECT n.nspname AS schema, pg_catalog.current_setting('pg_stat_statements.max', true) IS NOT NULL AS loaded
     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`,
  );
  const [extension] = found;
  if (extension === undefined) return 'pg_stat_statements is not installed in this database';
  if (!extension.loaded) return 'pg_stat_statements is not in shared_preload_libraries';
  const { rows } = await tx.query<{ query: string | null; calls: number }>(
    `SELECT s.query, s.calls::float8 AS calls FROM ${quoteQualified(extension.schema, 'pg_stat_statements')} s
     JOIN pg_catalog.pg_database d ON d.oid = s.dbid AND d.datname = pg_catalog.current_database()
     WHERE s.query IS NULL OR s.query = '<insufficient privilege>' OR (s.query ~ '<(=|-|#|[+])>' AND pg_catalog.strpos(s.query, $1) > 0)`,
    [table.name],
  );
  if (rows.some((row) => row.query === null || row.query === '<insufficient privilege>')) {
    return 'pg_stat_statements hides the statements of other roles: GRANT pg_read_all_stats to see them';
  }
  const calls = new Map<Operator, number>();
  for (const { query, calls: count } of rows) {
    if (query === null || !wholeWord(table.name).test(query)) continue;
    for (const operator of Object.values(OPERATORS)) {
      if (query.includes(operator)) calls.set(operator, (calls.get(operator) ?? 0) + count);
    }
  }
  return calls;
}

/** `segments` must not be found in `segments_old`. */
function wholeWord(name: string): RegExp {
  return new RegExp(`(^|[^\\p{L}\\p{N}_])${name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}($|[^\\p{L}\\p{N}_])`, 'u');
}
