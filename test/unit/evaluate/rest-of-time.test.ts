import { expect, it } from 'vitest';
import { restOfTime } from '../../../src/evaluate/run-searches.ts';

it('exact search of a big table says after its first queries how long the rest takes', () => {
  expect(restOfTime(28_000, 20, 500)).toBe(
    'The 480 queries left take about 12 min, 1.4 s each; with --sample fewer are asked.',
  );
  expect(restOfTime(400, 20, 500)).toBeUndefined();
  expect(restOfTime(90_000, 1, 1)).toBeUndefined();
});
