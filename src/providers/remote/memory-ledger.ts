import type { RemoteSettings } from '../../config/types.ts';
import type { UsageLedger } from '../types.ts';
import { orAborted, pause } from './abort-scope.ts';

const MINUTE = 60_000;

interface Entry {
  readonly at: number;
  tokens: number;
  settled: boolean;
}

/**
 * Keeps the requests and tokens of any 60 seconds under the limits, for as long as the process lives; it knows no budget. A request of
 * more tokens than a minute may have is sent when the minute is empty.
 */
export function memoryLedger(limits: Pick<RemoteSettings, 'requestsPerMinute' | 'tokensPerMinute'>): UsageLedger {
  const { requestsPerMinute = Number.POSITIVE_INFINITY, tokensPerMinute = Number.POSITIVE_INFINITY } = limits;
  let entries: Entry[] = [];
  let turn: Promise<unknown> = Promise.resolve();

  async function admitNext(tokens: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    for (;;) {
      const now = performance.now();
      entries = entries.filter(({ at }) => at > now - MINUTE);
      const used = entries.reduce((sum, entry) => sum + entry.tokens, 0);
      const [oldest] = entries;
      const fits = entries.length < requestsPerMinute && used + tokens <= tokensPerMinute;
      if (fits || oldest === undefined) {
        entries.push({ at: now, tokens, settled: false });
        return;
      }
      await pause(Math.ceil(oldest.at + MINUTE - now), signal);
    }
  }

  return {
    admit(tokens, signal) {
      // One after another: a small request must not overtake a large one for ever.
      const admitted = turn.then(() => admitNext(tokens, signal));
      turn = admitted.catch(() => undefined);
      return orAborted(admitted, signal);
    },
    async settle(admitted, usage) {
      const entry = entries.find(({ tokens, settled }) => !settled && tokens === admitted);
      if (entry === undefined) return;
      entry.tokens = usage.tokens;
      entry.settled = true;
    },
  };
}
