import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KeyIndex } from '../../../src/providers/vector-cache/key-index.ts';

const keyOf = (i: number): Buffer => hash('sha256', String(i), 'buffer').subarray(0, 16);

describe('the index of kept vectors', () => {
  it('finds each of many keys at its place, and no other', () => {
    const index = new KeyIndex();
    for (let i = 0; i < 20_000; i++) index.set(keyOf(i), { segment: i % 300, record: i * 3 });
    expect(index.size).toBe(20_000);
    for (let i = 0; i < 20_000; i++) expect(index.find(keyOf(i))).toEqual({ segment: i % 300, record: i * 3 });
    for (let i = 20_000; i < 21_000; i++) expect(index.find(keyOf(i))).toBeUndefined();
  });

  it('lets the newest place of a key win', () => {
    const index = new KeyIndex();
    index.set(keyOf(1), { segment: 0, record: 5 });
    index.set(keyOf(1), { segment: 2, record: 0 });
    expect(index.find(keyOf(1))).toEqual({ segment: 2, record: 0 });
    expect(index.size).toBe(1);
  });

  it('holds a million keys in 50 MB', () => {
    const index = new KeyIndex();
    const key = Buffer.alloc(16);
    for (let i = 0; i < 1_000_000; i++) {
      key.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, 0);
      key.writeUInt32LE(i, 4);
      index.set(key, { segment: 0, record: i });
    }
    expect(index.size).toBe(1_000_000);
    expect(index.bytes).toBeLessThan(50_000_000);
  });
});
