import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { PeerCommand, PeerEncoding, PeerIntroduction } from './types.ts';

/** How a contender is started. */
export interface PeerProgram {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** A contender in a process of its own, its model loaded. */
export interface Peer extends PeerIntroduction {
  readonly name: string;
  encode(command: PeerCommand): Promise<PeerEncoding>;
  /** Lets the process end by itself. */
  close(): Promise<void>;
}

/**
 * Starts a contender and waits until its model is loaded. Hub libraries are told to stay offline.
 * @throws Error with the last lines that it printed, when it ends before it has answered.
 */
export async function startPeer({ name, command, args }: PeerProgram): Promise<Peer> {
  const env = { ...process.env, HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1', TOKENIZERS_PARALLELISM: 'true' };
  const child = spawn(command, args, { env, stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
  const printed: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => {
    printed.push(chunk.toString());
    if (printed.length > 50) printed.shift();
  });
  const ended = Promise.race([once(child, 'exit'), once(child, 'error')]);
  const lines = createInterface({ input: child.stdio[3] as Readable })[Symbol.asyncIterator]();
  const answer = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done !== true) return value;
    const [reason] = await ended;
    const last = printed.join('').trim().split('\n').slice(-12).join('\n');
    throw new Error(`${name} ended (${reason instanceof Error ? reason.message : `exit code ${reason}`}).\n${last}`);
  };
  const introduction: PeerIntroduction = JSON.parse(await answer());
  return {
    name,
    ...introduction,
    async encode(request) {
      child.stdin?.write(`${JSON.stringify(request)}\n`);
      const encoding: PeerEncoding = JSON.parse(await answer());
      return encoding;
    },
    async close() {
      child.stdin?.end();
      await ended;
    },
  };
}
