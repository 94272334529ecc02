// COPY's binary form: 11 bytes of signature, int32 flags, int32 length of a header extension; then a tuple after the other, int16 number of
// fields, each an int32 length (-1 is NULL) and its bytes; int16 -1 ends it. Source: Postgres' documentation, COPY, Binary Format.

const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00);

/**
 * Walks over the fields of what a `COPY … TO STDOUT (FORMAT binary)` sent, the whole of it. A field's bytes are views, NULL is undefined.
 *
 * @throws RangeError where the bytes are cut off or of another form
 */
export function* readCopyRows(bytes: Uint8Array): Generator<readonly (Uint8Array | undefined)[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < SIGNATURE.length + 8 || SIGNATURE.some((byte, i) => bytes[i] !== byte)) {
    throw new RangeError(`these ${bytes.byteLength} bytes do not begin as binary COPY does`);
  }
  let at = SIGNATURE.length + 8 + view.getInt32(SIGNATURE.length + 4);
  for (let count = view.getInt16(at); count !== -1; count = view.getInt16(at)) {
    at += 2;
    const fields: (Uint8Array | undefined)[] = [];
    for (let i = 0; i < count; i++) {
      const length = view.getInt32(at);
      at += 4;
      if (at + Math.max(0, length) > bytes.byteLength) {
        throw new RangeError(`a field of ${length} bytes is cut off after ${bytes.byteLength - at}`);
      }
      fields.push(length < 0 ? undefined : bytes.subarray(at, at + length));
      at += Math.max(0, length);
    }
    yield fields;
  }
}
