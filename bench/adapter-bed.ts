import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRegistry } from '../src/adapters/registry.ts';
import type { ProjectionEntry } from '../src/adapters/types.ts';
import { defineMigration } from '../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { connectDatabase } from '../src/db/connect.ts';
import type { Database } from '../src/db/types.ts';
import { hashProvider } from '../src/providers/hash.ts';
import type { MigrationContext } from '../src/state/context.ts';
import { expand } from '../src/steps/expand.ts';
import { undoFill } from '../src/steps/undo-fill.ts';
import { encodeVectorArray } from '../src/vector/binary.ts';
import { seededRandom } from '../src/vector/random.ts';
import { openBenchDatabase } from './measure.ts';

export const SOURCE = 1536;
export const TARGET = 384;
/** About the median passage of a documentation. */
const TEXT_BYTES = 330;
const TABLE = 'reembed_bench_adapter';
const STATE = 'reembed_bench_adapter_state';
const INSERTED_TOGETHER = 500;

/** A table of old vectors that is filled by an adapter again and again. */
export interface AdapterBed {
  readonly db: Database;
  readonly ctx: MigrationContext;
  readonly entry: ProjectionEntry;
  readonly dir: string;
  /** Takes the new vectors away and vacuums: what the next run finds is what the last one found. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export async function openAdapterBed(rows: number, options: { readonly oldIndex: boolean }): Promise<AdapterBed> {
  const settings = loadRuntimeSettings();
  const { db, close } = await openBenchDatabase(settings, connectDatabase);
  await db.query('CREATE EXTENSION IF NOT EXISTS vector');
  const dir = mkdtempSync(join(tmpdir(), 'reembed-bench-adapter-'));
  const entry = await register(dir);
  const definition = defineMigration({
    ...{ id: 'bench', table: TABLE, text: 'text', column: 'embedding' },
    ...{ model: `hash/${TARGET}`, dimensions: TARGET },
  });
  const ctx: MigrationContext = {
    db,
    definition,
    runtime: {
      ...settings,
      ...{ stateSchema: STATE, gate: 'off', backup: 'none' },
      adapters: { dir, use: entry.id, auto: false },
    },
    signal: undefined,
    onProgress: () => undefined,
  };
  await clear(db);
  await fillTable(db, rows);
  if (options.oldIndex) {
    await db.transaction(async (tx) => {
      await tx.query(`SET LOCAL maintenance_work_mem = '512MB'`);
      await tx.query(`CREATE INDEX ON ${TABLE} USING ivfflat (embedding vector_cosine_ops) WITH (lists = 316)`);
    });
  }
  await expand(ctx);
  return {
    db,
    ctx,
    entry,
    dir,
    async reset() {
      await undoFill(ctx);
      await db.query(`VACUUM (ANALYZE) ${TABLE}`);
      await db.query('CHECKPOINT');
    },
    async close() {
      await clear(db);
      rmSync(dir, { recursive: true, force: true });
      await close();
    },
  };
}

function clear(db: Database): Promise<unknown> {
  return db.query(`DROP TABLE IF EXISTS ${TABLE}; DROP SCHEMA IF EXISTS ${STATE} CASCADE`);
}

/** A random affine map: what it costs does not depend on what it was learned from. */
function register(dir: string): Promise<ProjectionEntry> {
  const random = seededRandom(1);
  const { model } = hashProvider(`hash/${TARGET}`);
  return openRegistry(dir).add(
    {
      kind: 'ridge',
      direction: 'document',
      source: { fingerprint: { name: 'legacy', dimensions: SOURCE }, reference: undefined, dimensions: SOURCE },
      target: { fingerprint: { ...model }, reference: undefined, dimensions: TARGET },
      samples: { training: 0, validation: 0, holdout: 0 },
      parameters: {},
      seed: 1,
      metrics: undefined,
      range: { minNorm: 0.9, maxNorm: 1.1 },
    },
    {
      layers: [
        {
          input: SOURCE,
          output: TARGET,
          weight: Float32Array.from({ length: SOURCE * TARGET }, () => random() - 0.5),
          bias: Float32Array.from({ length: TARGET }, () => random() - 0.5),
          hidden: undefined,
          normalize: true,
        },
      ],
    },
  );
}

async function fillTable(db: Database, rows: number): Promise<void> {
  await db.query(
    `CREATE TABLE ${TABLE} (id bigint PRIMARY KEY, text text NOT NULL, embedding vector(${SOURCE})) WITH (autovacuum_enabled = off)`,
  );
  const { rows: types } = await db.query<{ oid: number }>(`SELECT 'vector'::regtype::oid AS oid`);
  for (let from = 1; from <= rows; from += INSERTED_TOGETHER) {
    const count = Math.min(INSERTED_TOGETHER, rows - from + 1);
    const vectors = Array.from({ length: count }, (_, i) => unitVector(from + i));
    await db.query(
      `INSERT INTO ${TABLE} SELECT $1::bigint + i - 1, rpad('Row ' || i || ': a passage of ordinary words ', ${TEXT_BYTES}, 'about tables and indexes; '), v
       FROM unnest($2::vector[]) WITH ORDINALITY AS u(v, i)`,
      [from, Buffer.from(encodeVectorArray(vectors, types[0]?.oid ?? 0))],
    );
  }
}

/** Random enough, cheap to make, and of length 1. */
function unitVector(seed: number): Float32Array {
  let state = seed;
  const vector = new Float32Array(SOURCE);
  let squares = 0;
  for (let i = 0; i < SOURCE; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = state / 2 ** 32 - 0.5;
    vector[i] = value;
    squares += value * value;
  }
  const length = Math.sqrt(squares);
  return vector.map((value) => value / length);
}

/** Seconds that this process and, where it runs on this machine, the server have worked on all cores together. */
export async function coreSeconds(db: Database): Promise<number> {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 + (await serverSeconds(db));
}

const TICKS = 100;

async function serverSeconds(db: Database): Promise<number> {
  if (db.embedded || process.platform !== 'linux') return 0;
  const { rows } = await db.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  const postmaster = statOf(String(rows[0]?.pid))?.parent;
  if (postmaster === undefined) return 0;
  const own = statOf(postmaster);
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((stat) => stat?.parent === postmaster);
  return ((own?.ended ?? 0) + children.reduce((sum, stat) => sum + (stat?.ticks ?? 0), 0)) / TICKS;
}

/** proc(5): parent 4, utime 14, stime 15, cutime 16, cstime 17; counted behind the command, which may hold blanks. */
function statOf(pid: string): { readonly parent: string; readonly ticks: number; readonly ended: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const at = (field: number): number => Number(fields[field - 3]);
    return { parent: fields[1] ?? '', ticks: at(14) + at(15), ended: at(16) + at(17) };
  } catch {
    return undefined;
  }
}
