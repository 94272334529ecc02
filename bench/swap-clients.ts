// Starts the clients of bench/swap in a process of their own: what they wait for is the database, not the bench's event loop.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface ClientsSetup {
  readonly url: string;
  readonly table: string;
  readonly rows: number;
  readonly clients: number;
  readonly stateSchema: string;
  readonly migration: { readonly id: string; readonly column: string };
  /** The old model and the new one. */
  readonly models: readonly [string, string];
}

/** A request: when it began and how long it took, in milliseconds of the wall clock. */
export interface Request {
  readonly began: number;
  readonly took: number;
  readonly raw: boolean;
  readonly error: string | undefined;
}

export interface SwapClients {
  /** Runs `work` and returns what the clients asked meanwhile. */
  during(work: () => Promise<void>): Promise<readonly Request[]>;
  stop(): Promise<void>;
}

export async function startSwapClients(setup: ClientsSetup): Promise<SwapClients> {
  const child = fork(fileURLToPath(new URL('./swap-clients-child.ts', import.meta.url)));
  await ask(child, { kind: 'setup', setup });
  return {
    async during(work) {
      await ask(child, { kind: 'begin' });
      await work();
      return (await ask(child, { kind: 'end' })) as readonly Request[];
    },
    async stop() {
      await ask(child, { kind: 'stop' });
      child.disconnect();
    },
  };
}

async function ask(child: ChildProcess, message: object): Promise<unknown> {
  const done = new AbortController();
  child.send(message);
  try {
    return await Promise.race([
      once(child, 'message', { signal: done.signal }).then(([answer]) => answer as unknown),
      once(child, 'exit', { signal: done.signal }).then(() => Promise.reject(new Error('the clients ended'))),
    ]);
  } finally {
    done.abort();
  }
}
