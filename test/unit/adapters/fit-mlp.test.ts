import { expect, test } from 'vitest';
import { gaussian } from '../../../src/adapters/dense.ts';
import { fitKinds } from '../../../src/adapters/fit-kinds.ts';
import type { Fitted } from '../../../src/adapters/fit-types.ts';
import { dimsOf, MLP_WEIGHTS, mlpStepGraph } from '../../../src/adapters/mlp-graph.ts';
import { projectionGraph } from '../../../src/adapters/projection-graph.ts';
import type { Matrix } from '../../../src/adapters/types.ts';
import { type GraphTensor, openGraph } from '../../../src/models/graph.ts';
import { algebra, single } from './samples.ts';

const SHAPE = { input: 3, hidden: 4, output: 2 };
const ROWS = 5;

const random = (dims: readonly number[], seed: number): GraphTensor<Float32Array> => {
  const [rows = 1, columns = 1] = dims;
  return { data: Float32Array.from(gaussian(rows, columns, seed).data), dims };
};

test.each(['cosine', 'error'] as const)(
  'the gradient of the %s loss is what small changes of each weight do',
  async (loss) => {
    const graph = await openGraph(mlpStepGraph(SHAPE, loss));
    const scalar = (value: number): GraphTensor => ({ data: Float32Array.of(value), dims: [1] });
    const dims = dimsOf(SHAPE);
    const target = random([ROWS, 2], 3);
    const unit = Float32Array.from(target.data, (value, i) => {
      const at = i - (i % 2);
      return value / Math.hypot(target.data[at] ?? 0, target.data[at + 1] ?? 0);
    });
    const batch = {
      x: random([ROWS, 3], 1),
      base: random([ROWS, 2], 2),
      target: { data: unit, dims: [ROWS, 2] },
      rate: scalar(0),
      decay: scalar(0),
      share: scalar(1 / ROWS),
    };
    const weights = Object.fromEntries(MLP_WEIGHTS.map((name, i) => [name, random(dims[name], 10 + i)]));
    const moments = Object.fromEntries(
      MLP_WEIGHTS.flatMap((name) =>
        ['m_', 'v_'].map((state) => {
          const size = dims[name].reduce((product, dim) => product * dim, 1);
          return [`${state}${name}`, { data: new Float32Array(size), dims: dims[name] }];
        }),
      ),
    );
    const lossAt = async (changed: Record<string, GraphTensor>): Promise<number> =>
      Number((await graph.run({ ...batch, ...weights, ...changed, ...moments })).loss?.data[0]);
    // Adam's first moment, from nothing, is a tenth of the gradient.
    const step = await graph.run({ ...batch, ...weights, ...moments });
    for (const name of MLP_WEIGHTS) {
      const { data = new Float32Array(), dims: shape = [] } = weights[name] ?? {};
      for (let i = 0; i < data.length; i++) {
        const moved = (by: number): GraphTensor => ({
          data: Float32Array.from(data, (value, j) => value + (i === j ? by : 0)),
          dims: shape,
        });
        const slope = ((await lossAt({ [name]: moved(0.01) })) - (await lossAt({ [name]: moved(-0.01) }))) / 0.02;
        expect(10 * Number(step[`new_m_${name}`]?.data[i]), `${name} ${i}`).toBeCloseTo(slope, 2);
      }
    }
    await graph.release();
  },
);

async function meanError(fitted: Fitted | Error | undefined, source: Matrix, target: Matrix): Promise<number> {
  if (fitted === undefined || fitted instanceof Error) throw fitted ?? new Error('nothing');
  const graph = await openGraph(projectionGraph(fitted.projection));
  const { y } = await graph.run({ x: { data: source.data, dims: [source.rows, source.columns] } });
  await graph.release();
  return target.data.reduce((sum, value, i) => sum + (value - Number(y?.data[i])) ** 2, 0) / target.data.length;
}

test('a bend that no linear map follows is learned by the hidden layer, and there is none where there is no bend', async () => {
  const [source, map] = [gaussian(1200, 6, 1), gaussian(6, 4, 2)];
  const straight = await algebra.multiply(source, map);
  const bent = { ...straight, data: straight.data.map((value) => Math.abs(value) + 0.2 * value) };
  const pick = (matrix: Matrix, from: number, to: number): Matrix => ({
    ...matrix,
    rows: to - from,
    data: matrix.data.slice(from * matrix.columns, to * matrix.columns),
  });
  const [x, y] = [single(source), single(bent)];
  const pairs = { source: pick(x, 0, 1000), target: pick(y, 0, 1000) };
  const settings = { seed: 1, normalize: false };
  const outcomes = await fitKinds(algebra, ['ridge', 'residual-mlp'], pairs, settings);
  const held = [pick(x, 1000, 1200), pick(y, 1000, 1200)] as const;
  const linear = await meanError(outcomes.get('ridge'), ...held);
  expect(await meanError(outcomes.get('residual-mlp'), ...held)).toBeLessThan(linear / 4);
  const exact = await fitKinds(
    algebra,
    ['residual-mlp'],
    { ...pairs, target: pick(single(straight), 0, 1000) },
    settings,
  );
  expect(exact.get('residual-mlp')).toMatchObject({ parameters: { epochs: 0, hidden: 0 } });
});
