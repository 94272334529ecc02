import { describe, expect, it } from 'vitest';
import { checkDimensions } from '../../../src/evaluate/checks/dimensions.ts';
import { checkDistances } from '../../../src/evaluate/checks/distances.ts';
import { checkIsotropy } from '../../../src/evaluate/checks/isotropy.ts';
import { checkNearDuplicates } from '../../../src/evaluate/checks/near-duplicates.ts';
import { checkNorms } from '../../../src/evaluate/checks/norms.ts';
import { judgePairs } from '../../../src/evaluate/checks/similar-pairs.ts';
import { checkThresholds } from '../../../src/evaluate/checks/thresholds.ts';
import type { CheckedSide } from '../../../src/evaluate/checks/types.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import type { VectorTarget } from '../../../src/sql/target.ts';
import { cosineMatrix, fillRow, toUnit } from '../../../src/vector/cosine-matrix.ts';
import { seededRandom } from '../../../src/vector/random.ts';

const random = seededRandom(9);
/** Vectors around a common direction: the more of it, the narrower their cone. */
const cloud = (count: number, dimensions: number, common: number) =>
  Array.from({ length: count }, () => Float32Array.from({ length: dimensions }, () => common + random() - 0.5));
const texts = Array.from({ length: 60 }, (_, i) => `text ${i}`);

function side(name: 'old' | 'new', vectors: readonly Float32Array[], search: Partial<CheckedSide['search']> = {}) {
  const units = vectors.map(toUnit);
  const cosines = cosineMatrix(units.length);
  for (const i of units.keys()) fillRow(cosines, units, i);
  const target: VectorTarget = {
    ...{
      schema: 'public',
      table: 'segments',
      key: [{ name: 'id', type: 'bigint' }],
      text: 'text',
      provenance: undefined,
    },
    ...{
      column: 'embedding',
      vectorType: 'vector' as const,
      dimensions: 8,
      vectorSchema: 'public',
      stateSchema: 'reembed',
    },
  };
  const found: CheckedSide = {
    search: { side: name, active: 'old', target, model: undefined, distance: 'cosine', index: undefined, ...search },
    vectors,
    cosines,
  };
  return found;
}

describe('checkDimensions', () => {
  it('holds column, vectors and model against each other', async () => {
    const open = (dimensions: number) => async () => hashProvider(`hash/${dimensions}`);
    const fits = await checkDimensions(side('new', cloud(2, 8, 0)), { new: open(8) });
    expect(fits).toMatchObject({ level: 'info', values: { column: 8, stored: '8', model: 8 } });
    const other = await checkDimensions(side('new', cloud(2, 8, 0)), { new: open(16) });
    expect(other).toMatchObject({
      level: 'fail',
      message:
        'The new column segments.embedding is vector(8), its vectors have 8, the model hash/16 makes 16: they must be equal.',
    });
    const unknown = await checkDimensions(side('old', cloud(2, 8, 0)), {});
    expect(unknown).toMatchObject({ level: 'info', message: expect.stringContaining('its model is not configured') });
  });
});

describe('checkNorms', () => {
  it('asks for length 1 only where inner products are compared, and never takes zero', () => {
    const longer = [3, 4, 5].map((length) => Float32Array.of(length, 0));
    expect(checkNorms(side('new', longer))).toMatchObject({
      level: 'info',
      values: { min: 3, median: 4, max: 5, unit: 0 },
    });
    expect(checkNorms(side('new', longer, { distance: 'ip' }))).toMatchObject({
      level: 'warn',
      message: expect.stringMatching(/3 of 3 do not have length 1, expected all to have it\.$/),
    });
    const withZero = [...longer, Float32Array.of(0, 0)];
    expect(checkNorms(side('new', withZero))).toMatchObject({ level: 'fail', values: { zero: 1 } });
    expect(checkNorms(side('old', withZero))).toMatchObject({ level: 'warn' });
  });
});

describe('checkIsotropy and checkDistances', () => {
  it('tell a space in use from a collapsed one', () => {
    expect(checkIsotropy(side('new', cloud(60, 8, 0)))).toMatchObject({ level: 'info' });
    expect(checkIsotropy(side('new', cloud(60, 8, 1)))).toMatchObject({ level: 'warn' });
    const collapsed = side('new', cloud(60, 8, 20));
    expect(checkIsotropy(collapsed)).toMatchObject({
      level: 'fail',
      message: expect.stringContaining('expected below 0.9'),
    });
    expect(checkIsotropy({ ...collapsed, search: { ...collapsed.search, side: 'old' } })).toMatchObject({
      level: 'warn',
    });
  });

  it('want neighbours to stand out from random pairs', () => {
    const twins = cloud(30, 64, 0).flatMap((vector) => [vector, vector.map((value) => value + 0.05 * random())]);
    expect(checkDistances(side('new', twins))).toMatchObject({ level: 'info' });
    const simplex = Array.from({ length: 60 }, (_, i) =>
      Float32Array.from({ length: 60 }, (_, j) => (i === j ? 1 : 0)),
    );
    expect(checkDistances(side('new', simplex))).toMatchObject({
      level: 'warn',
      values: { nearestMedian: 0, randomP95: 0 },
    });
  });
});

describe('checkNearDuplicates', () => {
  const vectors = cloud(60, 8, 0);
  const merged = vectors.map((vector, i) => (i < 20 ? (vectors[0] ?? vector) : vector));

  it('stands against a model that makes one vector of many texts, unless the old one did too', () => {
    const sides = [side('old', vectors), side('new', merged)];
    expect(checkNearDuplicates({ sides, texts })).toMatchObject({ level: 'fail', values: { old: 0, new: 20 } });
    const both = [side('old', merged), side('new', merged)];
    expect(checkNearDuplicates({ sides: both, texts })).toMatchObject({ level: 'info' });
  });

  it('does not count texts that differ by case and white space only', () => {
    const same = texts.map((_, i) => (i % 2 === 0 ? 'A  text' : ' a text '));
    expect(checkNearDuplicates({ sides: [side('new', merged)], texts: same })).toMatchObject({
      values: { old: null, new: 0 },
    });
  });
});

describe('judgePairs', () => {
  const pair = (cosine: number, similar = true) => ({ pair: { a: 'a', b: 'b', similar }, cosine });

  it('counts what is below the limit, and how often similar pairs are nearer than others', () => {
    const judged = judgePairs([pair(0.5), pair(0.3), pair(0.4, false), pair(0.1, false)], 0.35);
    expect(judged).toMatchObject({ similar: 2, below: 1, ordered: 0.75, lowest: { cosine: 0.3 } });
  });

  it('takes a pair without a cosine for one below, and says nothing without a scale', () => {
    expect(judgePairs([pair(Number.NaN)], 0.2)).toMatchObject({ below: 1, ordered: undefined });
    expect(judgePairs([pair(0.1)], undefined)).toMatchObject({ below: 0, limit: undefined });
  });
});

describe('checkThresholds', () => {
  const sides = [side('old', cloud(60, 8, 0.3)), side('new', cloud(60, 8, 0))];

  it('moves what application code compares with, and names what it was matched by', () => {
    const [moved] = checkThresholds({ sides, texts }, { seed: 1, thresholds: [0.8] });
    expect(moved).toMatchObject({ code: 'threshold', level: 'warn', values: { old: 0.8, matchedBy: 'rows' } });
    expect(moved?.message).toMatch(/^Suggested threshold between rows: 0\.8 → .+; one for searches needs queries\.$/);
    expect(Number(moved?.values.new)).toBeLessThan(0.8);
  });

  it('has nothing to move without an old side, and says so where too few pass', () => {
    expect(checkThresholds({ sides: sides.slice(1), texts }, { seed: 1, thresholds: [0.8] })).toEqual([]);
    const [unknown] = checkThresholds({ sides, texts }, { seed: 1, thresholds: [0.9999] });
    expect(unknown?.message).toMatch(/^No threshold is suggested for 1: \d of 3,540 pairs of rows reach it/);
    const hits = { old: [[0.8, 0.7]], new: [[0.6, 0.5]] };
    const [few] = checkThresholds({ sides, texts }, { seed: 1, thresholds: [0.8], hits });
    expect(few).toMatchObject({
      level: 'warn',
      message: expect.stringContaining('for 0.8: 1 query was there, expected at least 20.'),
    });
    expect(checkThresholds({ sides, texts }, { seed: 1 }).every(({ level }) => level === 'info')).toBe(true);
  });
});
