import { crc32 } from 'node:zlib';
import { vectorFault } from '../../vector/vector-fault.ts';
import type { ModelFingerprint } from '../types.ts';
import { type KeptVector, type NewVector, shortTokenKey } from './record.ts';

/** A text that was embedded. */
export interface EmbeddedText {
  readonly key: Buffer;
  readonly text: string;
  readonly vector: Float32Array;
  readonly tokenKey: string | undefined;
}

/** An answer counts the texts that were cut, it does not name them: the longest ones are. */
export function withTruncation(texts: readonly EmbeddedText[], truncated: number): NewVector[] {
  const byLength = texts.map((_, i) => i).sort((a, b) => lengthOf(texts, b) - lengthOf(texts, a));
  const cut = new Set(byLength.slice(0, truncated));
  return texts.map(({ key, vector, tokenKey }, i) => ({
    key,
    vector,
    truncated: cut.has(i),
    tokenKey: tokenKey === undefined ? undefined : shortTokenKey(tokenKey),
  }));
}

function lengthOf(texts: readonly EmbeddedText[], i: number): number {
  return texts[i]?.text.length ?? 0;
}

/**
 * Those of an answer that are worth keeping. What the backfill would not store is asked for again, and so is a vector that came for
 * different texts: a service that is ill answers everything alike, and must not be believed for ever.
 */
export function worthKeeping(vectors: readonly NewVector[], model: ModelFingerprint): NewVector[] {
  const sound = vectors.filter(({ vector }) => vectorFault(vector, model) === undefined);
  const owners = new Map<number, Set<string>>();
  for (const kept of sound) {
    const sum = checksum(kept);
    owners.set(sum, (owners.get(sum) ?? new Set()).add(kept.tokenKey ?? kept.key.toString('hex')));
  }
  return sound.filter((kept) => owners.get(checksum(kept))?.size === 1);
}

function checksum({ vector }: KeptVector): number {
  return crc32(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
}
