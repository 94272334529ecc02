import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../src/db/types.ts';
import type { LocalServer } from './local-server.ts';

/** A replica, as the server sees it: takes all WAL and says so at once, until it is stopped. The caller kills it. */
export async function receiveWal(server: LocalServer, db: Database): Promise<ChildProcess> {
  const { port, hostname } = new URL(server.url);
  const directory = mkdtempSync(join(tmpdir(), 'reembed-wal-'));
  const child = spawn(
    join(server.bin, 'pg_receivewal'),
    ['-D', directory, '-h', hostname, '-p', port, '-U', 'postgres', '--synchronous'],
    { stdio: 'ignore' },
  );
  child.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (;;) {
    const { rows } = await db.query(
      'SELECT 1 FROM pg_stat_replication WHERE pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) < 1048576',
    );
    if (rows.length > 0) return child;
    if (child.exitCode !== null) throw new Error(`pg_receivewal ended with ${child.exitCode}`);
    await sleep(50);
  }
}
