// COPY's binary form: 11 bytes of signature, int32 flags, int32 length of a header extension; then a tuple after the other, int16 number of
// fields, each an int32 length (-1 is NULL) and its bytes; int16 -1 ends it. Source: Postgres' documentation, COPY, Binary Format.

const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00);
const HEADER_BYTES = SIGNATURE.length + 8;

/** Where a field lies in its message; `length` is -1 for NULL. */
export interface CopyField {
  readonly start: number;
  readonly length: number;
}

/** @returns the length of the header with which the first message begins @throws RangeError where it does not */
export function copyHeaderLength(message: Buffer): number {
  if (message.byteLength < HEADER_BYTES || SIGNATURE.some((byte, i) => message[i] !== byte)) {
    throw new RangeError(`these ${message.byteLength} bytes do not begin as binary COPY does`);
  }
  return HEADER_BYTES + message.readInt32BE(SIGNATURE.length + 4);
}

/**
 * The fields of the tuple that begins at `at`; undefined for the trailer.
 *
 * @throws RangeError where the bytes are cut off
 */
export function readCopyTuple(message: Buffer, at = 0): CopyField[] | undefined {
  const count = message.readInt16BE(at);
  if (count === -1) return undefined;
  const fields: CopyField[] = [];
  let start = at + 2;
  for (let i = 0; i < count; i++) {
    const length = message.readInt32BE(start);
    start += 4;
    if (start + length > message.byteLength) {
      throw new RangeError(`a field of ${length} bytes is cut off after ${message.byteLength - start}`);
    }
    fields.push({ start, length });
    start += Math.max(0, length);
  }
  return fields;
}
