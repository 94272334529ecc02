import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitAll, fitProjection } from '../../../src/adapters/fit.ts';
import { fitKinds, type KindOutcomes } from '../../../src/adapters/fit-kinds.ts';
import { algebra, linearPairs, mapRow } from './samples.ts';

const KINDS = ['ridge', 'residual-mlp', 'identity'] as const;

/** All but how long it took. */
const withoutTimes = (outcomes: KindOutcomes) =>
  [...outcomes].map(([kind, outcome]) => [kind, outcome instanceof Error ? outcome : { ...outcome, seconds: 0 }]);

test('training leaves its thread the same map for the same seed, bit by bit, and the event loop alone', async () => {
  const pairs = linearPairs(260, 12, 8, 0.3, 1);
  const before = pairs.source.data.slice();
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const options = { seed: 5, normalize: true, threads: 1 };
  const first = await fitAll(KINDS, pairs, options);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(2);
  expect(first.get('ridge')).toHaveProperty('projection.layers.0.normalize', true);
  expect(withoutTimes(await fitKinds(algebra, KINDS, pairs, options))).toEqual(withoutTimes(first));
  expect(first.get('identity')).toMatchObject({ name: 'AdapterError', code: 'dimensions_differ', step: 'adapter' });
  expect(pairs.source.data).toEqual(before);
});

test('a refusal comes out of the thread as it was thrown, and an abort does not wait for it', async () => {
  const few = linearPairs(10, 12, 8, 0.3, 1);
  await expect(fitProjection('ridge', few, { seed: 1, normalize: true })).rejects.toMatchObject({
    name: 'AdapterError',
    code: 'too_few_samples',
    hint: 'Train with more samples: --samples 1000 is a good start.',
    context: { observed: 10, expected: 50 },
  });
  const stop = new AbortController();
  const training = fitProjection('ridge', linearPairs(500, 200, 8, 0.3, 1), {
    seed: 1,
    normalize: true,
    signal: stop.signal,
  });
  stop.abort(new Error('no more'));
  await expect(training).rejects.toThrow('no more');
  await expect(fitProjection('ridge', few, { seed: 1, normalize: true, signal: stop.signal })).rejects.toThrow(
    'no more',
  );
});

test('a target that is an affine map of the source is found, whatever it is', async () => {
  const cases = fc.record({
    input: fc.integer({ min: 1, max: 12 }),
    output: fc.integer({ min: 1, max: 12 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ input, output, seed }) => {
      const { source, target } = linearPairs(80, input, output, 0, seed % 100_000);
      const fitted = (await fitKinds(algebra, ['ridge'], { source, target }, { seed, normalize: false })).get('ridge');
      if (fitted === undefined || fitted instanceof Error) throw fitted ?? new Error('nothing');
      const [layer] = fitted.projection.layers;
      const y = mapRow(
        source.data.subarray(0, input),
        layer?.weight ?? new Float32Array(),
        layer?.bias ?? new Float32Array(),
      );
      y.forEach((value, j) => {
        expect(value).toBeCloseTo(target.data[j] ?? 0, 2);
      });
    }),
    { numRuns: 10 },
  );
});
