import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createFrameReader,
  createPanicWatch,
  fatalMessage,
  queryMessage,
  syncMessage,
  withoutCopyIn,
} from '../../../src/db/embedded-frames.ts';

function startupMessage(): Buffer {
  const body = Buffer.from('user\0postgres\0\0');
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(196_608, 4);
  return Buffer.concat([head, body]);
}

function requestMessage(code: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32BE(8, 0);
  bytes.writeInt32BE(code, 4);
  return bytes;
}

/** A Parse message for the unnamed or a named statement. */
function parseMessage(name: string, sql: string): Buffer {
  const body = Buffer.from(`${name}\0${sql}\0\0\0`);
  const head = Buffer.alloc(5);
  head.write('P', 0);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

describe('the frames of a client', () => {
  test('are the same however the stream is cut', () => {
    const messages = fc.array(fc.string({ maxLength: 300 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (queries, cuts) => {
        const sent = [startupMessage(), ...queries.map(queryMessage), syncMessage()];
        const stream = Buffer.concat(sent);
        const read = createFrameReader();
        const frames = [];
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const size = cuts[i % cuts.length] ?? 1;
          frames.push(...read(stream.subarray(at, at + size)));
          at += size;
        }
        expect(frames.map((frame) => frame.bytes)).toEqual(sent);
      }),
    );
  });

  test('before the startup are requests for encryption and cancellation', () => {
    const stream = [requestMessage(80_877_104), requestMessage(80_877_103), startupMessage(), queryMessage('SELECT 1')];
    const frames = createFrameReader()(Buffer.concat(stream));
    expect(frames.map((frame) => frame.kind)).toEqual(['encryption', 'encryption', 'startup', 'message']);
    expect(createFrameReader()(requestMessage(80_877_102)).map((frame) => frame.kind)).toEqual(['cancel']);
  });

  test('of an impossible length are refused', () => {
    expect(() => createFrameReader()(Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]))).toThrow(RangeError);
    expect(() => createFrameReader()(Buffer.from([0x7f, 0, 0, 0, 0, 3, 0, 0]))).toThrow(RangeError);
  });
});

describe('COPY FROM STDIN', () => {
  const [, query] = createFrameReader()(Buffer.concat([startupMessage(), queryMessage('COPY t FROM STDIN')]));
  const frameOf = (bytes: Buffer) => ({ kind: 'message', type: String.fromCharCode(bytes[0] ?? 0), bytes }) as const;

  test('becomes an error of Postgres, as a query and as a prepared statement', () => {
    if (query === undefined) throw new Error('no frame');
    expect(withoutCopyIn(query).toString()).toContain('0A000');
    const parsed = withoutCopyIn(frameOf(parseMessage('s1', ' copy t(a, b)\n from  stdin with (format binary)')));
    expect(parsed.toString('utf8', 5)).toMatch(/^s1\0DO /);
    expect(parsed.readInt32BE(1)).toBe(parsed.length - 1);
  });

  test.each([
    "INSERT INTO t VALUES ('copy t from stdin')",
    'COPY t TO STDOUT',
    'SELECT 1; ',
    "COPY t FROM '/tmp/stdin'",
  ])('leaves %s alone', (sql) => {
    const bytes = queryMessage(sql);
    expect(withoutCopyIn(frameOf(bytes))).toBe(bytes);
  });
});

describe('a PANIC of the server', () => {
  const answer = (severity: string): Buffer => {
    const bytes = fatalMessage('53100', 'no space');
    return Buffer.from(bytes.toString('latin1').replaceAll('FATAL', severity), 'latin1');
  };

  test('is seen among other messages, however they are cut', () => {
    const stream = Buffer.concat([queryMessage('x'.repeat(500)), answer('PANIC')]);
    expect(createPanicWatch()(stream)).toBe('no space');
    const watch = createPanicWatch();
    expect(watch(stream.subarray(0, 300))).toBeUndefined();
    expect(watch(stream.subarray(300))).toBe('no space');
  });

  test('is not an ordinary error, nor a row with these letters', () => {
    expect(createPanicWatch()(answer('ERROR'))).toBeUndefined();
    expect(createPanicWatch()(queryMessage('SELECT $$VPANIC$$'))).toBeUndefined();
  });
});
