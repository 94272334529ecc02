import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Queryable } from '../../../src/db/types.ts';
import { type LocalServer, type PostgresVersion, startLocalServer } from '../../helpers/local-server.ts';
import { mountDisk, SETTINGS } from './own-server.ts';
import type { RunPlan } from './plan-run.ts';
import { CLIENTS, makeTable } from './segments.ts';
import type { SmallDisk } from './world.ts';

/** A fresh database for one run. */
export interface Place {
  readonly url: string;
  readonly disk: SmallDisk | undefined;
  /** For backups and caches. */
  readonly directory: string;
  close(): Promise<void>;
}

/** A server on which one run follows the other: it may be restarted under them. */
export interface Lane {
  open(plan: RunPlan): Promise<Place>;
  close(): Promise<void>;
}

export interface LaneOptions {
  readonly rows: number;
  /** A server that is there already and must not be restarted; one of its own unless given. */
  readonly url?: string;
  readonly version: PostgresVersion;
}

export async function openLane({ rows, url, version }: LaneOptions): Promise<Lane> {
  const server: LocalServer | undefined = url === undefined ? await startLocalServer(version, SETTINGS) : undefined;
  const admin = url ?? server?.url ?? '';
  const template = `reembed_faults_${randomBytes(4).toString('hex')}`;
  await withClient(admin, (db) => db.query(`CREATE DATABASE ${template}`));
  await withClient(at(admin, template), async (db) => {
    await db.query('CREATE EXTENSION IF NOT EXISTS vector');
    await makeTable(db, rows, CLIENTS);
  });
  return {
    open: (plan) => openPlace(admin, template, plan),
    async close() {
      if (server === undefined)
        await withClient(admin, (db) => db.query(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`));
      server?.remove();
    },
  };
}

async function openPlace(admin: string, template: string, plan: RunPlan): Promise<Place> {
  const name = `reembed_faults_${randomBytes(4).toString('hex')}`;
  const directory = mkdtempSync(join(tmpdir(), 'reembed-faults-'));
  await withClient(admin, (db) => db.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  const url = at(admin, name);
  const disk = plan.smallDisk ? mountDisk(64) : undefined;
  await withClient(url, async (db) => {
    if (plan.habits === 'strict') await db.query('ALTER TABLE segments ALTER COLUMN embedding SET NOT NULL');
    if (disk === undefined) return;
    await db.query(`CREATE TABLESPACE ${name} LOCATION '${disk.location}'`);
    await db.query(`ALTER TABLE segments SET TABLESPACE ${name}`);
    await db.query(`ALTER DATABASE ${name} SET default_tablespace = '${name}'`);
  });
  return {
    url,
    disk,
    directory,
    async close() {
      await withClient(admin, async (db) => {
        await db.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
        if (disk !== undefined) await db.query(`DROP TABLESPACE IF EXISTS ${name}`).catch(() => undefined);
      });
      disk?.unmount();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function at(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

async function withClient<T>(url: string, work: (db: Queryable) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'harness' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work({
      async query<R>(text: string, params: readonly unknown[] = []) {
        const { rows, rowCount } = await client.query(text, [...params]);
        return { rows: rows as R[], rowCount: rowCount ?? 0 };
      },
    });
  } finally {
    await client.end();
  }
}
