import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { byteaArrayLiteral, textArrayLiteral } from '../../../src/sql/array-literal.ts';

const TEXT_ARRAY = 1009 as Parameters<typeof pg.types.getTypeParser>[0];
/** pg's own reader of what Postgres writes. */
const parseArray = pg.types.getTypeParser(TEXT_ARRAY) as (literal: string) => (string | null)[];

describe('array literals', () => {
  test('any text comes back as it was: quotes, backslashes, braces, commas, the word NULL', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', 'NULL', 'null', '{}', '"', '\\', ',', '\\"', ' '),
    );
    fc.assert(
      fc.property(fc.array(fc.option(text)), (values) => {
        expect(parseArray(textArrayLiteral(values))).toEqual(values);
      }),
    );
  });

  test('bytes are written in hex, NULL stays NULL', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.uint8Array({ maxLength: 40 }))), (values) => {
        const read = parseArray(byteaArrayLiteral(values));
        expect(read.map((each) => each && Buffer.from(each.slice(2), 'hex'))).toEqual(
          values.map((each) => each && Buffer.from(each)),
        );
        expect(read.every((each) => each === null || each.startsWith('\\x'))).toBe(true);
      }),
    );
  });
});
