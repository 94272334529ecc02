import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WireReader } from '../../helpers/wire-reader.ts';

function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

const query = (text: string): Buffer => message('Q', Buffer.from(`${text}\0`));
const parse = (text: string): Buffer => message('P', Buffer.from(`\0${text}\0\0\0`));

describe('the wire reader', () => {
  it('tells every statement, however the bytes are cut', () => {
    const stream = Buffer.concat([
      message('', Buffer.from('\0\u0003\0\0user\0x\0\0')),
      query('BEGIN'),
      parse('SELECT $1'),
      message('B', Buffer.alloc(5_000, 0x51)),
      message('S', Buffer.alloc(0)),
      query('COMMIT'),
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 30 }), (cuts) => {
        const seen: string[] = [];
        const reader = new WireReader((text) => seen.push(text));
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        places.slice(1).forEach((end, i) => void reader.push(stream.subarray(places[i], end)));
        expect(seen).toEqual(['BEGIN', 'SELECT $1', 'COMMIT']);
      }),
    );
  });
});
