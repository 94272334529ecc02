import type { Database } from '../db/types.ts';
import { isMapped, type MappedTarget, readVectorsSql, type VectorWindow } from '../sql/read-vectors.ts';
import type { VectorTarget } from '../sql/target.ts';
import { stackVectors, type VectorStack } from '../vector/binary.ts';
import { type CopyField, copyHeaderLength, readCopyTuple } from '../vector/copy-binary.ts';
import type { Window, WindowLimits } from './read-windows.ts';
import type { SourceRow } from './types.ts';

export interface VectorReading extends Omit<VectorWindow, 'after' | 'rows'> {
  readonly limits: WindowLimits;
  /** Of the old vectors. */
  readonly dimensions: number;
}

/** A target that is said to be mapped, or a mistake in this code. */
export function mappedTarget(target: VectorTarget): MappedTarget {
  if (isMapped(target)) return target;
  throw new Error(`${target.schema}.${target.table}.${target.column} is not filled from old vectors`);
}

/**
 * One window of rows whose old vectors are to be mapped: by binary COPY, which sends half the bytes of what `bytea` is as text, straight into the
 * matrix. The embedded database has no COPY.
 *
 * @param memory of a former window's matrix
 */
export async function readVectorWindow(
  db: Database,
  target: MappedTarget,
  { limits, dimensions, ...window }: VectorReading,
  after: readonly string[] | null,
  memory?: ArrayBuffer,
): Promise<Window> {
  const room = Math.max(1, Math.min(limits.rows, Math.floor(limits.bytes / (4 * dimensions))));
  const sql = readVectorsSql(target, { ...window, after, rows: room });
  const stack = stackVectors(room, dimensions, memory);
  const rows = db.embedded ? await queryRows(db, target, sql, stack) : await copyRows(db, target, sql, stack);
  const { data, faults } = stack.take();
  return {
    rows,
    old: { matrix: { rows: rows.length, columns: dimensions, data }, faults },
    isLast: rows.length < room,
  };
}

async function copyRows(db: Database, target: MappedTarget, sql: string, stack: VectorStack): Promise<SourceRow[]> {
  const rows: SourceRow[] = [];
  let at: number | undefined;
  const keys = target.key.length;
  await db.copyRows(`COPY (${sql}) TO STDOUT (FORMAT binary)`, (message) => {
    at = at === undefined ? copyHeaderLength(message) : 0;
    const fields = at < message.byteLength ? readCopyTuple(message, at) : undefined;
    if (fields === undefined) return;
    const text = (i: number): string | undefined => textOf(message, fields[i]);
    const vector = fields[keys + 2];
    rows.push({
      key: target.key.map((_, i) => text(i) ?? ''),
      text: '',
      version: text(keys),
      part: text(keys + 1),
    });
    stack.push(
      vector === undefined || vector.length < 0
        ? undefined
        : message.subarray(vector.start, vector.start + vector.length),
    );
  });
  return rows;
}

function textOf(message: Buffer, field: CopyField | undefined): string | undefined {
  if (field === undefined || field.length < 0) return undefined;
  return message.toString('utf8', field.start, field.start + field.length);
}

async function queryRows(db: Database, target: MappedTarget, sql: string, stack: VectorStack): Promise<SourceRow[]> {
  const { rows } = await db.query<Record<string, string> & { part: string | null }>(sql);
  return rows.map((row) => {
    const vector: unknown = row.vector;
    stack.push(Buffer.isBuffer(vector) ? vector : undefined);
    return {
      key: target.key.map((_, i) => row[`k${i}`] ?? ''),
      text: '',
      version: row.version,
      part: row.part ?? undefined,
    };
  });
}
