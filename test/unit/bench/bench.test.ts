import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { writeBgeSmallShape } from '../../../bench/bge-small-shape.ts';
import { bench } from '../../../src/bench/bench.ts';
import { randomValues } from '../../../src/bench/graph-builder.ts';
import type { BenchResult } from '../../../src/bench/types.ts';
import { openLocalModel } from '../../../src/models/local-model.ts';
import { localProvider } from '../../../src/providers/local.ts';
import { benchReport } from '../../../src/reports/bench-report.ts';
import { cosine } from '../../../src/vector/math.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

const SHAPE = { vocabulary: 30_522, positions: 64, hidden: 64, intermediate: 128, layers: 2, heads: 4 };
const WORDS = 'vacuum index table dead rows tuple lock wait query planner cost page buffer disk log replica'.split(' ');
const directory = await temporaryDirectory();
const model = join(directory, 'tiny');
const texts = join(directory, 'texts.jsonl');
const cacheDir = join(directory, 'cache');

beforeAll(async () => {
  await writeBgeSmallShape(model, SHAPE);
  const random = randomValues(5);
  const words = (count: number): string =>
    [...random(count, WORDS.length / 2)].map((value) => WORDS[Math.floor(value + WORDS.length / 2)] ?? 'row').join(' ');
  const lines = Array.from({ length: 300 }, (_, i) => JSON.stringify({ text: words(4 + (i % 20)), title: words(3) }));
  await writeFile(texts, lines.join('\n'));
});

test('the random model of the shape of bge-small makes the same vectors in fp32 and int8, which differ from text to text', async () => {
  const vectors: Record<string, readonly Float32Array[]> = {};
  for (const dtype of ['fp32', 'int8'] as const) {
    const provider = localProvider(model, await openLocalModel(model, { dtype, device: 'cpu', threads: 1 }));
    vectors[dtype] = (await provider.embed(WORDS, { kind: 'document' })).vectors;
    await provider.close();
  }
  // What all vectors of random weights have in common says nothing: compared is what sets a text apart.
  const centred = (all: readonly Float32Array[] = []): readonly Float32Array[] => {
    const mean = (i: number): number => all.reduce((sum, vector) => sum + (vector[i] ?? 0), 0) / all.length;
    return all.map((vector) => vector.map((value, i) => value - mean(i)));
  };
  const [float, integer] = [centred(vectors.fp32), centred(vectors.int8)];
  for (const [i, vector] of float.entries()) {
    expect(cosine(vector, integer[i] ?? new Float32Array())).toBeGreaterThan(0.97);
    expect(cosine(vector, float[(i + 1) % float.length] ?? vector)).toBeLessThan(0.9);
  }
});

describe('a comparison', () => {
  let result: BenchResult;
  const messages: string[] = [];
  beforeAll(async () => {
    const onProgress = (event: object): void => void messages.push(JSON.stringify(event));
    result = await bench({ model, texts, compare: true, rounds: 2, threads: 1, cacheDir, onProgress });
  }, 60_000);

  test('measures each precision that is there, a plain loop, and names what is missing', () => {
    expect(result.runs.filter(({ device }) => device === 'cpu').map(({ dtype }) => dtype)).toEqual(['fp32', 'int8']);
    expect(result.plainLoop).toMatchObject({ dtype: 'fp32', threads: 1, batchTexts: 32 });
    expect(result.notMeasured.join('\n')).toContain(`${model} has no fp16 graph; looked for onnx/model_fp16.onnx`);
    const devices = new Set(result.runs.map(({ device }) => device.split(':')[0]));
    for (const device of ['cuda', 'webgpu']) {
      expect(devices.has(device) || result.notMeasured.some((line) => line.startsWith(`${device}: `))).toBe(true);
    }
  });

  test('has every figure, as measured in each round', () => {
    for (const run of result.runs) {
      expect(run.textsPerSecond.rounds).toHaveLength(2);
      expect(run.tokensPerSecond.median).toBeCloseTo(run.textsPerSecond.median * result.texts.meanTokens, 6);
      const figures = [run.query.p50, run.query.p99, run.loopDelay.samples, run.gemm?.fraction, run.gemm?.limit.median];
      for (const figure of figures) expect(figure).toBeGreaterThan(0);
      expect(run.query.p99).toBeGreaterThanOrEqual(run.query.p50);
      expect(run.gemm?.limit.rounds).toHaveLength(2);
    }
    expect(result.texts).toMatchObject({ source: 'texts.jsonl', count: 300, withTitle: 300, truncated: 0 });
    expect(result.peakBytes).toBeGreaterThan(50e6);
  });

  test('chooses the maximum of the table of budgets that it prints, and keeps it for the next start', async () => {
    const kept = await Promise.all(
      (await readdir(join(cacheDir, 'calibration'))).map((name) =>
        readFile(join(cacheDir, 'calibration', name), 'utf8'),
      ),
    );
    const calibrations = kept.map(
      (text) => (JSON.parse(text) as { calibration: { budget: number; measured: unknown } }).calibration,
    );
    for (const { budget, budgets, kept: isKept } of result.runs) {
      expect(isKept).toBe(true);
      const fastest = budgets.reduce((a, b) => (b.tokensPerSecond > a.tokensPerSecond ? b : a));
      expect(budget).toBe(fastest.budget);
      expect(calibrations).toContainEqual(expect.objectContaining({ budget, measured: budgets }));
    }
  });

  test('says what int8 costs against fp32, on these texts', () => {
    expect(result.quality?.reference).toBe('fp32');
    const rows = result.quality?.rows ?? [];
    const of = (dtype: string) => rows.find((row) => row.dtype === dtype)?.quality;
    expect(of('fp32')).toMatchObject({ overlapAt10: 1, queries: 300 });
    expect(of('fp32')?.cosine.min).toBeCloseTo(1, 4);
    expect(of('int8')?.cosine.min).toBeLessThan(of('fp32')?.cosine.min ?? 0);
    expect(of('int8')?.cosine.median).toBeGreaterThan(0.99);
  });

  test('prints it all, the best throughput in its last line', () => {
    const { best } = result;
    const fastest = result.runs.reduce((a, b) => (b.textsPerSecond.median > a.textsPerSecond.median ? b : a));
    expect(best).toMatchObject({ dtype: fastest.dtype, budget: fastest.budget });
    const lines = benchReport(result, best.textsPerSecond / 7.2).split('\n');
    expect(lines.at(-1)).toMatch(
      new RegExp(`^Best: .* texts/s \\(.* tokens/s\\) with ${best.dtype} on .*: 7\\.2 times the baseline of`),
    );
    for (const name of [
      'texts/s',
      'of the GEMM limit',
      'query p50 ms',
      'loop delay p99 ms',
      'cosine min',
      'Recall@10',
      'chosen',
    ]) {
      expect(lines.join('\n')).toContain(name);
    }
  });

  test('tells how far it is', () => {
    expect(messages.join('\n')).toContain('Round 2 of 2');
  });
});

test('dimensions that the model does not make are refused before anything is measured', async () => {
  const refusal = bench({ model, texts, dimensions: 384, limit: 2, rounds: 1, threads: 1, cacheDir });
  await expect(refusal).rejects.toMatchObject({ name: 'ConfigError', code: 'dimensions_differ' });
});

test('a choice made on a few texts is not kept', async () => {
  const empty = join(directory, 'empty-cache');
  const { runs } = await bench({ model, texts, dtype: 'int8', limit: 20, rounds: 1, threads: 1, cacheDir: empty });
  expect(runs.map(({ dtype, kept }) => ({ dtype, kept }))).toEqual([{ dtype: 'int8', kept: false }]);
  await expect(readdir(empty)).rejects.toThrow('ENOENT');
});

test('a bench that is stopped closes what it opened', async () => {
  const signal = AbortSignal.timeout(300);
  await expect(bench({ model, texts, rounds: 50, threads: 1, cacheDir, signal })).rejects.toThrow();
});
