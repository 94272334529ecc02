import { IntegrityError } from '../errors.ts';
import type { EncodedRows } from './backup-format.ts';

/** `PGCOPY\n\377\r\n\0`: PostgreSQL manual, COPY, "Binary Format". Flags and the length of an extension follow it. */
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const HEADER_BYTES = SIGNATURE.byteLength + 8;
const NO_MORE_TUPLES = -1;

/**
 * Rows of a binary COPY as frames of a backup, as many at a time as a chunk completes: a tuple's fields are laid out as a frame's, int32
 * length and bytes, so that they are taken over as they are. No more than a chunk and a row is held.
 *
 * @param vectorField the number of the field whose NULLs are counted
 * @throws IntegrityError `copy_cut_off` when the stream ends before its end mark
 */
export async function* copyFrames(chunks: AsyncIterable<Buffer>, vectorField: number): AsyncGenerator<EncodedRows> {
  let rest: Buffer = Buffer.alloc(0);
  let state: 'head' | 'tuples' | 'end' = 'head';
  for await (const chunk of chunks) {
    // The stream is read to its very end: only then the session can be used again.
    if (state === 'end') continue;
    rest = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (state === 'head') {
      if (rest.byteLength < HEADER_BYTES) continue;
      if (!rest.subarray(0, SIGNATURE.byteLength).equals(SIGNATURE))
        throw cutOff('it does not begin like a binary COPY');
      const head = HEADER_BYTES + rest.readInt32BE(SIGNATURE.byteLength + 4);
      if (rest.byteLength < head) continue;
      rest = rest.subarray(head);
      state = 'tuples';
    }
    const { frames, rows, nullVectors, offset, ended } = takeTuples(rest, vectorField);
    if (rows > 0) yield { bytes: Buffer.concat(frames), rows, nullVectors };
    if (ended) state = 'end';
    rest = rest.subarray(offset);
  }
  if (state !== 'end') throw cutOff('it ended before its end mark');
}

interface Tuples {
  readonly frames: readonly Buffer[];
  readonly rows: number;
  readonly nullVectors: number;
  /** Where the first tuple begins that is not whole yet. */
  readonly offset: number;
  readonly ended: boolean;
}

function takeTuples(bytes: Buffer, vectorField: number): Tuples {
  const frames: Buffer[] = [];
  let rows = 0;
  let nullVectors = 0;
  let offset = 0;
  for (;;) {
    if (offset + 2 > bytes.byteLength) return { frames, rows, nullVectors, offset, ended: false };
    const fields = bytes.readInt16BE(offset);
    if (fields === NO_MORE_TUPLES) return { frames, rows, nullVectors, offset, ended: true };
    let end = offset + 2;
    let isNull = false;
    for (let field = 0; field < fields && end <= bytes.byteLength; field++) {
      const length = end + 4 <= bytes.byteLength ? bytes.readInt32BE(end) : 0;
      if (field === vectorField) isNull = length === -1;
      end += 4 + Math.max(0, length);
    }
    if (end > bytes.byteLength) return { frames, rows, nullVectors, offset, ended: false };
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(end - offset - 2);
    frames.push(length, bytes.subarray(offset + 2, end));
    rows++;
    if (isNull) nullVectors++;
    offset = end;
  }
}

function cutOff(what: string): IntegrityError {
  return new IntegrityError(
    'copy_cut_off',
    `The rows could not be read for the backup: ${what}. Nothing was dropped.`,
    {
      step: 'backup',
      hint: 'Run the same command again.',
    },
  );
}
