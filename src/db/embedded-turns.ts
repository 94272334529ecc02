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
  const queue = createQueue();
  let broken: string | undefined;
  let working: Promise<void> | undefined;

  async function work(): Promise<void> {
    try {
      for (let turn = queue.next(); turn !== undefined; turn = queue.next()) {
        await runTurn(runner, turn);
        queue.holdFor(turn.open || runner.isInTransaction() ? turn.client : undefined);
        // Lets sockets and timers live between two statements.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      broken = `The embedded Postgres has stopped: ${messageOf(error)}`;
      queue.clear();
      for (const client of clients) client.fail(broken);
    }
  }

  function start(): void {
    if (working !== undefined || !queue.canRun()) return;
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
    take(client, bytes, open) {
      if (broken !== undefined) return;
      queue.add({ client, bytes, open, silent: false });
      start();
    },
    leave(client) {
      if (!clients.delete(client) || broken !== undefined) return;
      queue.forget(client);
      if (clients.size === 0) queue.add({ client, bytes: queryMessage('DISCARD ALL'), open: false, silent: true });
      start();
    },
    failure: () => broken,
    async settled() {
      while (working !== undefined) await working;
    },
  };
}

/** Runs one turn and gives its answers to its client. @throws when the session dies of it. */
async function runTurn(runner: ProtocolRunner, turn: Turn): Promise<void> {
  let panic: string | undefined;
  const watch = createPanicWatch();
  const onRawData = (data: Uint8Array): void => {
    panic ??= watch(data);
    // The data is a view into WebAssembly memory that the next call overwrites.
    if (!turn.silent) turn.client.send(Uint8Array.from(data));
  };
  await withUnrefTimers(() => runner.execProtocolRawStream(turn.bytes, { onRawData }));
  if (panic !== undefined) throw new Error(panic);
}

interface TurnQueue {
  add(turn: Turn): void;
  canRun(): boolean;
  /** The first turn that may run now: the holder's where one holds the session. */
  next(): Turn | undefined;
  /** From now on only this client's turns may run; undefined lets everyone. */
  holdFor(client: TurnClient | undefined): void;
  /** Drops what the client still wanted, and puts first what undoes the transaction that it left open. */
  forget(client: TurnClient): void;
  clear(): void;
}

function createQueue(): TurnQueue {
  let waiting: Turn[] = [];
  let holder: TurnClient | undefined;
  const firstToRun = (): number =>
    holder === undefined ? Math.min(0, waiting.length - 1) : waiting.findIndex((turn) => turn.client === holder);
  return {
    add: (turn) => void waiting.push(turn),
    canRun: () => firstToRun() >= 0,
    next() {
      const index = firstToRun();
      return index < 0 ? undefined : waiting.splice(index, 1)[0];
    },
    holdFor(client) {
      holder = client;
    },
    forget(client) {
      waiting = waiting.filter((turn) => turn.client !== client);
      if (holder !== client) return;
      const undo = Buffer.concat([syncMessage(), queryMessage('ROLLBACK')]);
      waiting.unshift({ client, bytes: undo, open: false, silent: true });
    },
    clear() {
      waiting = [];
    },
  };
}
