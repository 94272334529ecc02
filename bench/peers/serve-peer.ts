import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { PeerCommand, PeerEncoding, PeerIntroduction } from './types.ts';

/** Texts to vectors of equal length, in the order of the texts. */
export type Encode = (texts: readonly string[]) => Promise<readonly Float32Array[]>;

/**
 * The JavaScript side of a contender, as peer.py is the Python side: says what it is, then encodes on command until
 * stdin ends. Replies go to file descriptor 3, so that what libraries print does no harm.
 */
export async function servePeer(
  versions: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, Encode>>,
): Promise<void> {
  const replies = createWriteStream('', { fd: 3 });
  const reply = (value: PeerIntroduction | PeerEncoding) => replies.write(`${JSON.stringify(value)}\n`);
  reply({ versions, settings: Object.keys(settings) });
  let texts: readonly string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    const command: PeerCommand = JSON.parse(line);
    if (command.texts !== undefined) texts = command.texts;
    const encode = settings[command.encode];
    if (encode === undefined) throw new Error(`${command.encode} is none of ${Object.keys(settings).join(', ')}.`);
    const some = texts.slice(0, command.first ?? texts.length);
    const start = performance.now();
    const vectors = await encode(some);
    const seconds = (performance.now() - start) / 1000;
    reply({ seconds, vectors: base64Of(vectors) });
  }
}

function base64Of(vectors: readonly Float32Array[]): string {
  return Buffer.concat(vectors.map((v) => Buffer.from(v.buffer, v.byteOffset, v.byteLength))).toString('base64');
}
