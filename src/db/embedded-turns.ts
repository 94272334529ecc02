import { messageOf } from '../errors.ts';
import { createPanicWatch, queryMessage, syncMessage } from './embedded-frames.ts';
import { withUnrefTimers } from './embedded-timers.ts';

/** What PGlite offers below its own client: bytes of the wire protocol in, bytes out. */
export interface ProtocolRunner {
  execProtocolRawStream(message: Uint8Array, options: { onRawData: (data: Uint8Array) => void }): Promise<void>;
  isInTransaction(): boolean;
}

/** One client of the embedded session. */
export interface TurnClient {
  send(bytes: Uint8Array): void;
  /** The session is gone: tell the client why and hang up. */
  fail(reason: string): void;
}

interface Turn {
  readonly client: TurnClient;
  readonly bytes: Uint8Array;
  /** Ends with Flush: the client's extended query goes on in its next turn. */
  readonly open: boolean;
  readonly silent: boolean;
}

export interface Turns {
  join(client: TurnClient): void;
  /** Runs whole protocol units in order: everything up to and including a Query, Sync or Flush. */
  take(client: TurnClient, bytes: Uint8Array, open: boolean): void;
  /** Forgets what the client still wanted and rolls back what it left open. */
  leave(client: TurnClient): void;
  /** Why the session is gone; undefined while it works. */
  failure(): string | undefined;
  /** Resolves when nothing runs and nothing that can run waits. */
  settled(): Promise<void>;
}

/**
 * Shares PGlite's one session among connections. A connection keeps the session from its BEGIN to its COMMIT, and a
 * statement's Parse, Bind, Execute and Sync are run in one go: interleaved, one client's parameters reach another
 * client's statement. When the last connection leaves, what the session remembers is discarded.
 */
export function createTurns(runner: ProtocolRunner): Turns {
  const clients = new Set<TurnClient>();
  let waiting: Turn[] = [];
  let holder: TurnClient | undefined;
  let open = false;
  let broken: string | undefined;
  let working: Promise<void> | undefined;

  function canRun(): boolean {
    return holder === undefined ? waiting.length > 0 : waiting.some((turn) => turn.client === holder);
  }

  function next(): Turn | undefined {
    const index = holder === undefined ? 0 : waiting.findIndex((turn) => turn.client === holder);
    return index < 0 ? undefined : waiting.splice(index, 1)[0];
  }

  function breakDown(error: unknown): void {
    broken = `The embedded Postgres has stopped: ${messageOf(error)}`;
    waiting = [];
    for (const client of clients) client.fail(broken);
  }

  async function run(turn: Turn): Promise<void> {
    let panic: string | undefined;
    const watch = createPanicWatch();
    const onRawData = (data: Uint8Array): void => {
      panic ??= watch(data);
      // The data is a view into WebAssembly memory that the next call overwrites.
      if (!turn.silent) turn.client.send(Uint8Array.from(data));
    };
    await withUnrefTimers(() => runner.execProtocolRawStream(turn.bytes, { onRawData }));
    if (panic !== undefined) throw new Error(panic);
    open = turn.open;
    holder = open || runner.isInTransaction() ? turn.client : undefined;
  }

  async function work(): Promise<void> {
    try {
      for (let turn = next(); turn !== undefined; turn = next()) {
        await run(turn);
        // Lets sockets and timers live between two statements.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      breakDown(error);
    }
  }

  function start(): void {
    if (working !== undefined || !canRun()) return;
    working = work().then(() => {
      working = undefined;
      start();
    });
  }

  return {
    join(client) {
      clients.add(client);
      if (broken !== undefined) client.fail(broken);
    },
    take(client, bytes, isOpen) {
      if (broken !== undefined) return;
      waiting.push({ client, bytes, open: isOpen, silent: false });
      start();
    },
    leave(client) {
      if (!clients.delete(client) || broken !== undefined) return;
      waiting = waiting.filter((turn) => turn.client !== client);
      const undo = Buffer.concat([syncMessage(), queryMessage('ROLLBACK')]);
      if (holder === client) waiting.unshift({ client, bytes: undo, open: false, silent: true });
      if (clients.size === 0) waiting.push({ client, bytes: queryMessage('DISCARD ALL'), open: false, silent: true });
      start();
    },
    failure: () => broken,
    async settled() {
      while (working !== undefined) await working;
    },
  };
}
