import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeRows } from '../../../src/swap/backup-format.ts';
import { copyFrames } from '../../../src/swap/copy-frames.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const field = fc.option(fc.uint8Array({ maxLength: 60 }).map((value) => Buffer.from(value)));
const rows = fc.array(fc.record({ key: fc.string(), textHash: field, vector: field }), { maxLength: 12 });

/** What Postgres sends for `COPY … TO STDOUT (FORMAT binary)` of rows of three fields. */
function copyOf(sent: readonly { key: string; textHash: Buffer | null; vector: Buffer | null }[]): Buffer {
  const number = (bits: 16 | 32, value: number): Buffer => {
    const bytes = Buffer.alloc(bits / 8);
    bytes.writeIntBE(value, 0, bits / 8);
    return bytes;
  };
  const parts = [SIGNATURE, number(32, 0), number(32, 3), Buffer.from('ext')];
  for (const { key, textHash, vector } of sent) {
    parts.push(number(16, 3));
    for (const value of [Buffer.from(key), textHash, vector]) {
      parts.push(number(32, value === null ? -1 : value.byteLength), value ?? Buffer.alloc(0));
    }
  }
  return Buffer.concat([...parts, number(16, -1)]);
}

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < bytes.byteLength; i += size) yield bytes.subarray(i, i + size);
}

describe('a binary COPY', () => {
  test('becomes the frames that its rows have in a backup, wherever the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 90 }), async (sent, size) => {
        const got = { bytes: [] as Buffer[], rows: 0, nullVectors: 0 };
        for await (const each of copyFrames(cut(copyOf(sent), size), 2)) {
          got.bytes.push(each.bytes);
          got.rows += each.rows;
          got.nullVectors += each.nullVectors;
        }
        const wanted = sent.map(({ key, ...rest }) => ({ key: [key], ...rest, model: null, hash: null, at: null }));
        expect({ ...got, bytes: Buffer.concat(got.bytes) }).toEqual(encodeRows(wanted, false));
      }),
      { numRuns: 200 },
    );
  });

  test('that ends before its end mark, or is none, is refused', async () => {
    const whole = copyOf([{ key: 'a', textHash: null, vector: Buffer.from('v') }]);
    const read = async (bytes: Buffer): Promise<void> => {
      for await (const _ of copyFrames(cut(bytes, 7), 2));
    };
    for (const length of [0, 5, 25, whole.byteLength - 2]) {
      await expect(read(whole.subarray(0, length))).rejects.toMatchObject({ code: 'copy_cut_off' });
    }
    await expect(read(Buffer.from('PGCOPX is not what it looks like'))).rejects.toMatchObject({ code: 'copy_cut_off' });
  });
});
