import { readFile } from 'node:fs/promises';
import type { Queryable } from '../../db/types.ts';

interface Backend {
  readonly pid: number;
  /** Of a TCP connection. */
  readonly clientPort: number | null;
}

/**
 * Why the server's disk and memory cannot be looked at from here; undefined when its process is one of this machine. That is taken for
 * proved when the system shows this connection's own server process: a URL with "localhost" may lead into a container or through a tunnel.
 */
export async function whyNotLocal(tx: Queryable): Promise<string | undefined> {
  const { rows } = await tx.query<Backend>(
    'SELECT pg_catalog.pg_backend_pid() AS pid, pg_catalog.inet_client_port() AS "clientPort"',
  );
  const backend = rows[0];
  const elsewhere = 'the server does not run on this machine, or in a container of its own';
  if (backend === undefined) return elsewhere;
  const title = await readFile(`/proc/${backend.pid}/cmdline`, 'utf8').catch(() => '');
  // E.g. "postgres: app shop 127.0.0.1(53124) SELECT", on a socket "[local]".
  if (!title.startsWith('postgres:')) return elsewhere;
  const client = backend.clientPort === null ? '[local]' : `(${backend.clientPort})`;
  return title.includes(client) ? undefined : elsewhere;
}
