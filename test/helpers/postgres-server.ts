import { startDockerServer } from './docker-server.ts';
import { type PostgresVersion, startLocalServer } from './local-server.ts';

/** The Postgres that a run of the tests uses. */
export interface TestServer {
  /** `undefined` means the embedded one, which every test file starts for itself. */
  readonly url: string | undefined;
  readonly description: string;
  stop(): Promise<void> | void;
}

// Nobody pulls the plug on this one.
const FAST = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200'];

/**
 * `DATABASE_URL` when it is a Postgres URL; else what `REEMBED_TEST_PG` names (`15`, `18`, `docker`), started for this
 * run; else the embedded one.
 */
export async function findTestServer(): Promise<TestServer> {
  const url = process.env.DATABASE_URL;
  if (url !== undefined && /^postgres(ql)?:/.test(url)) {
    return { url, description: 'DATABASE_URL', stop: () => undefined };
  }
  const wanted = process.env.REEMBED_TEST_PG ?? '';
  if (wanted === '' || wanted === 'embedded') {
    return { url: undefined, description: 'embedded Postgres', stop: () => undefined };
  }
  if (wanted === 'docker') {
    const server = await startDockerServer();
    return { url: server.url, description: 'Postgres in Docker', stop: () => server.stop() };
  }
  if (wanted !== '15' && wanted !== '18') {
    throw new Error(`REEMBED_TEST_PG is ${JSON.stringify(wanted)}; expected 15, 18, docker or embedded`);
  }
  const server = await startLocalServer(Number(wanted) as PostgresVersion, FAST);
  return { url: server.url, description: `Postgres ${wanted}`, stop: () => server.remove() };
}
