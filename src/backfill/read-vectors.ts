import type { Database, Session } from '../db/types.ts';
import { isMapped, type MappedTarget, readVectorsSql, type VectorWindow } from '../sql/read-vectors.ts';
import type { VectorTarget } from '../sql/target.ts';
import { decodeStack } from '../vector/binary.ts';
import { readCopyRows } from '../vector/copy-binary.ts';
import type { Window, WindowLimits, WindowReader } from './read-windows.ts';

/** What is read of a row. */
interface ReadRow {
  readonly key: readonly string[];
  readonly version: string;
  readonly part: string | undefined;
  readonly vector: Uint8Array | undefined;
}

export interface VectorReading extends Pick<VectorWindow, 'modelId' | 'migrationId' | 'skipQuarantined' | 'upTo'> {
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
 * Reads the old vectors of pending rows, a window at a time: by binary COPY from a session of its own, which sends half the bytes of what `bytea` is as
 * text, and nothing has to be turned back. The embedded database has no COPY.
 */
export function openVectorReader(db: Database, target: MappedTarget, reading: VectorReading): WindowReader {
  const { limits, dimensions, ...window } = reading;
  const rows = Math.max(1, Math.min(limits.rows, Math.floor(limits.bytes / (4 * dimensions))));
  let session: Session | undefined;

  async function close(): Promise<void> {
    const open = session;
    session = undefined;
    await open?.close().catch(() => undefined);
  }

  async function copied(sql: string): Promise<ReadRow[]> {
    try {
      session ??= await db.openSession();
      const chunks: Buffer[] = [];
      for await (const chunk of session.copyOut(`COPY (${sql}) TO STDOUT (FORMAT binary)`)) chunks.push(chunk);
      return [...readCopyRows(Buffer.concat(chunks))].map((fields) => rowOf(target, fields));
    } catch (error) {
      // Whatever became of it: the next try has a new one.
      await close();
      throw error;
    }
  }

  return {
    async read(after) {
      const sql = readVectorsSql(target, { ...window, after, rows });
      const found = db.embedded ? await queried(db, target, sql) : await copied(sql);
      const { data, faults } = decodeStack(
        found.map((row) => row.vector),
        dimensions,
      );
      return {
        rows: found.map(({ key, version, part }) => ({ key, text: '', version, part })),
        old: { matrix: { rows: found.length, columns: dimensions, data }, faults },
        isLast: found.length < rows,
      } satisfies Window;
    },
    close,
  };
}

function rowOf(target: VectorTarget, fields: readonly (Uint8Array | undefined)[]): ReadRow {
  const keys = target.key.length;
  const texts = fields.slice(0, keys + 2).map((field) => (field === undefined ? undefined : textOf(field)));
  return {
    key: texts.slice(0, keys).map((value) => value ?? ''),
    version: texts[keys] ?? '',
    part: texts[keys + 1],
    vector: fields[keys + 2],
  };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

async function queried(db: Database, target: VectorTarget, sql: string): Promise<ReadRow[]> {
  type Row = Readonly<Record<string, string>> & { readonly part: string | null; readonly vector: Buffer | null };
  const { rows } = await db.query<Row & { version: string }>(sql);
  return rows.map((row) => ({
    key: target.key.map((_, i) => row[`k${i}`] ?? ''),
    version: row.version,
    part: row.part ?? undefined,
    vector: row.vector ?? undefined,
  }));
}
