import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cosine, dot, isFiniteVector, isZeroVector, norm } from '../../../src/vector/math.ts';

const value = fc.float({ min: -100, max: 100, noNaN: true });
const pair = fc
  .integer({ min: 1, max: 40 })
  .chain((length) =>
    fc.tuple(
      fc.float32Array({ minLength: length, maxLength: length, min: -100, max: 100, noNaN: true }),
      fc.float32Array({ minLength: length, maxLength: length, min: -100, max: 100, noNaN: true }),
    ),
  );

describe('cosine', () => {
  test('lies between -1 and 1, is symmetric and does not depend on length', () => {
    fc.assert(
      fc.property(pair, fc.integer({ min: 1, max: 64 }), ([a, b], factor) => {
        fc.pre(norm(a) > 1e-3 && norm(b) > 1e-3);
        const similarity = cosine(a, b);
        expect(Math.abs(similarity)).toBeLessThanOrEqual(1 + 1e-9);
        expect(cosine(b, a)).toBeCloseTo(similarity, 12);
        expect(
          cosine(
            a.map((x) => x * factor),
            b,
          ),
        ).toBeCloseTo(similarity, 5);
      }),
    );
  });

  test('of a vector without direction is NaN, so that no limit is passed by it', () => {
    expect(cosine(new Float32Array(3), Float32Array.of(1, 2, 3))).toBeNaN();
  });
});

describe('dot and norm', () => {
  test('known values', () => {
    expect(dot(Float32Array.of(1, 2, 3), Float32Array.of(4, -5, 6))).toBe(12);
    expect(norm(Float32Array.of(3, 4))).toBe(5);
  });

  test('small values beside large ones are not lost: sums are in double precision', () => {
    const vector = new Float32Array(1_000_001).fill(2 ** -12);
    vector[0] = 2 ** 6;
    expect(norm(vector) ** 2).toBeCloseTo(2 ** 12 + 1_000_000 * 2 ** -24, 6);
  });
});

describe('what must not be stored is told apart', () => {
  test('one NaN or infinite value anywhere makes a vector not finite', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 30 }), fc.nat(), (values, place) => {
        const vector = Float32Array.from(values);
        expect(isFiniteVector(vector)).toBe(true);
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
          vector[place % vector.length] = bad;
          expect(isFiniteVector(vector)).toBe(false);
        }
      }),
    );
  });

  test('a zero vector is one whose every value is zero, of either sign', () => {
    expect(isZeroVector(Float32Array.of(0, -0, 0))).toBe(true);
    expect(isZeroVector(Float32Array.of(0, 1e-40, 0))).toBe(false);
  });
});
