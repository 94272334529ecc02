import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { gemmFlopsPerToken, readEncoderShape, weightFlopsPerToken } from '../../../src/bench/gemm-flops.ts';
import { encodeGemmGraph } from '../../../src/bench/gemm-graph.ts';
import { openGemmBench } from '../../../src/bench/gemm-limit.ts';
import { openSession } from '../../../src/models/session.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

const directory = await temporaryDirectory();
const shape = { hidden: 32, intermediate: 64, layers: 3 };

describe('operations of a token', () => {
  test('are two for each weight of MiniLM: 10.6 million weights in its products', () => {
    expect(weightFlopsPerToken({ hidden: 384, intermediate: 1536, layers: 6 })).toBe(
      2 * 6 * (4 * 384 ** 2 + 2 * 384 * 1536),
    );
  });

  test('grow with the length of the text by what attention multiplies', () => {
    const weights = weightFlopsPerToken(shape);
    // One text of 10 tokens: each of Q·Kᵀ and weights·V takes 2 · 10 · 10 · hidden a layer.
    expect(gemmFlopsPerToken(shape, [10]) * 10).toBeCloseTo(weights * 10 + 3 * 2 * (2 * 10 * 10 * 32), 6);
    // Of two texts the longer one has more tokens that each see more.
    expect(gemmFlopsPerToken(shape, [10, 30])).toBeCloseTo(weights + (4 * 3 * 32 * (100 + 900)) / 40, 6);
  });

  test('need the sizes of config.json', async () => {
    expect(await readEncoderShape(directory)).toBeUndefined();
    await writeFile(join(directory, 'config.json'), '{"hidden_size":32,"intermediate_size":64,"num_hidden_layers":3}');
    expect(await readEncoderShape(directory)).toEqual(shape);
  });
});

describe.each(['fp32', 'int8'] as const)('the graph of %s products', (dtype) => {
  test('runs in ONNX Runtime and returns one finite number a text that depends on all layers', async () => {
    const output = async (layers: number): Promise<Float32Array> => {
      const graph = join(directory, `${dtype}-${layers}.onnx`);
      await writeFile(graph, encodeGemmGraph({ ...shape, layers }, dtype).bytes);
      const session = await openSession({
        graph,
        device: 'cpu',
        dtype,
        graphOptimizationLevel: undefined,
        output: undefined,
      });
      const inputIds = BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n);
      const { data, shape: found } = await session.run({ inputIds, attentionMask: inputIds, batch: 2, sequence: 3 });
      expect(found).toEqual([2, 1]);
      const copy = data.slice();
      await session.release();
      return copy;
    };
    const [one, three] = [await output(1), await output(3)];
    expect([...one, ...three].every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
    expect([...three]).not.toEqual([...one]);
    expect(three[0]).not.toBe(three[1]);
  });

  test('gives a rate', async () => {
    const bench = await openGemmBench(shape, { files: { dtype }, facts: { device: 'cpu' }, pool: { threads: 1 } });
    try {
      const { flops, tokens } = await bench.run();
      expect(flops).toBeGreaterThan(0);
      expect([256, 512, 1024, 2048]).toContain(tokens);
    } finally {
      await bench.close();
    }
  });
});
