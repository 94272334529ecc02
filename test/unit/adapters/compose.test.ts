import { afterAll, expect, test } from 'vitest';
import { openAdapter } from '../../../src/adapters/apply.ts';
import { composeProjections } from '../../../src/adapters/compose.ts';
import { openRegistry } from '../../../src/adapters/registry.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';
import { affine, measures, newEntry, space } from './sample-projection.ts';

const [A, B, C] = [space('a', 6), space('b', 5), space('c', 4)];
const registry = openRegistry(await temporaryDirectory());
const add = (
  more: Parameters<typeof newEntry>[0],
  input: number,
  output: number,
  seed: number,
): ReturnType<typeof registry.add> =>
  registry.add(newEntry({ range: { minNorm: 1, maxNorm: 4 }, ...more }), {
    layers: [affine(input, output, { seed, normalize: true })],
  });
const first = await registry.load((await add({ source: A, target: B }, 6, 5, 1)).id);
const second = await registry.load((await add({ source: B, target: C }, 5, 4, 2)).id);

const open: { close(): Promise<void> }[] = [];
afterAll(async () => {
  for (const adapter of open) await adapter.close();
});

test('A→B and B→C composed are what one behind the other is, through a registry too', async () => {
  const composed = await composeProjections(first, second);
  const entry = await registry.add(composed.entry, composed.projection);
  expect(entry).toMatchObject({
    id: 'a-6--c-4--chain-1000',
    kind: 'chain',
    source: { dimensions: 6 },
    target: { dimensions: 4 },
    composedOf: [first.entry.id, second.entry.id],
    metrics: undefined,
    range: first.entry.range,
  });
  const chain = openAdapter(await registry.load(entry.id));
  const [one, two] = [
    openAdapter({ ...first, entry: first.entry }),
    openAdapter({ ...second, entry: { ...second.entry, range: { minNorm: 1, maxNorm: 1 } } }),
  ];
  open.push(chain, one, two);
  const vector = Float32Array.of(1, -1, 0.5, 0.5, 1, 0);
  const stepwise = await two.applyOnce(await one.applyOnce(vector));
  for (const [i, value] of (await chain.applyOnce(vector)).entries())
    expect(value).toBeCloseTo(stepwise[i] ?? Number.NaN, 6);
});

test('a chain has the quality that was measured, and none where nothing was', async () => {
  const measured = await composeProjections(first, second, async ({ projection }) => {
    expect(projection.layers.length).toBe(2);
    return measures(0.4);
  });
  expect(measured.entry).toMatchObject({ metrics: measures(0.4), samples: { holdout: 500 } });
  expect((await composeProjections(first, second, async () => undefined)).entry.metrics).toBeUndefined();
});

test('what does not lead from one space to the next is not composed', async () => {
  await expect(composeProjections(second, first)).rejects.toMatchObject({
    code: 'spaces_differ',
    message: `${second.entry.id} maps to another space than the one ${first.entry.id} maps from: 4 dimensions against 6.`,
  });
  const query = await registry.load((await add({ source: B, target: C, direction: 'query' }, 5, 4, 2)).id);
  await expect(composeProjections(first, query)).rejects.toMatchObject({ code: 'directions_differ' });
});
