import type { Session } from '../db/types.ts';
import type { MigrationContext } from '../state/context.ts';

/** Waits for the table's writers, or for time to pass. */
export interface Waker {
  /** False without a channel, and while the connection is lost: then only time wakes. */
  isListening(): boolean;
  /** Ends early on a NOTIFY, also on one that came before, and when the signal aborts. */
  wait(milliseconds: number): Promise<void>;
  close(): Promise<void>;
}

/** Listens on a connection of its own, which is made anew at the next wait when it is lost. */
export function openWaker(ctx: MigrationContext, channel: string | undefined): Waker {
  let session: Session | undefined;
  let notified = false;
  let wake: (() => void) | undefined;

  async function connect(name: string): Promise<void> {
    const opened = await ctx.db.openSession();
    try {
      await opened.listen(name, {
        onNotify() {
          notified = true;
          wake?.();
        },
        onLost() {
          if (session === opened) session = undefined;
        },
      });
      session = opened;
    } catch (error) {
      await opened.close().catch(() => undefined);
      throw error;
    }
  }

  return {
    isListening: () => session !== undefined,
    async wait(milliseconds) {
      // Without the connection polling goes on, and this is tried again at the next wait.
      if (channel !== undefined && session === undefined) await connect(channel).catch(() => undefined);
      if (!notified && ctx.signal?.aborted !== true) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => wake?.(), milliseconds);
          const onAbort = (): void => wake?.();
          ctx.signal?.addEventListener('abort', onAbort, { once: true });
          wake = () => {
            clearTimeout(timer);
            ctx.signal?.removeEventListener('abort', onAbort);
            wake = undefined;
            resolve();
          };
        });
      }
      notified = false;
    },
    async close() {
      const open = session;
      session = undefined;
      await open?.close().catch(() => undefined);
    },
  };
}
