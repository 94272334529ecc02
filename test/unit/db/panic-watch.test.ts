import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createPanicWatch, fatalMessage, queryMessage } from '../../../src/db/embedded-frames.ts';

const answers = fc.array(
  fc.string({ maxLength: 300 }).map((text) => queryMessage(text)),
  { maxLength: 12 },
);
const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 });

/** Cuts a stream into pieces of the given lengths, over and over. */
function pieces(stream: Buffer, lengths: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0, i = 0; at < stream.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    parts.push(stream.subarray(at, at + length));
    at += length;
  }
  return parts;
}

describe('what the embedded Postgres answers', () => {
  test('is never taken for a panic or for garbage, wherever it is cut', () => {
    fc.assert(
      fc.property(answers, cuts, (messages, lengths) => {
        const watch = createPanicWatch();
        const ordinary = Buffer.concat([...messages, fatalMessage('57P01', 'not a panic'), ...messages]);
        for (const piece of pieces(ordinary, lengths)) expect(watch(piece)).toBeUndefined();
      }),
    );
  });

  test('a panic is seen behind whatever came before it', () => {
    fc.assert(
      fc.property(answers, cuts, (messages, lengths) => {
        const watch = createPanicWatch();
        for (const piece of pieces(Buffer.concat(messages), lengths)) watch(piece);
        const panic = Buffer.from(
          fatalMessage('53100', 'no space left').toString('latin1').replaceAll('FATAL', 'PANIC'),
          'latin1',
        );
        expect(watch(panic)).toBe('no space left');
      }),
    );
  });
});
