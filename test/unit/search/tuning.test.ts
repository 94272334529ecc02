import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type CurvePoint,
  efSearchGrid,
  probesGrid,
  settingBetween,
  smallestReaching,
} from '../../../src/search/tuning/choose-setting.ts';
import { exactAnswer, recallAt } from '../../../src/search/tuning/recall-at.ts';
import { readQueryTexts } from '../../../src/search/tuning/tuning-queries.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

describe('the file of queries', () => {
  const asked = Array.from({ length: 25 }, (_, i) => `how do I ask for ${i}?`);
  const written = async (name: string, lines: readonly string[]): Promise<string> => {
    const path = join(await temporaryDirectory(), name);
    await writeFile(path, lines.join('\n'));
    return path;
  };

  test('is a query a line, or JSON lines with it, and no more than are wanted are read', async () => {
    expect(await readQueryTexts(await written('asked.txt', ['', ...asked]), 200)).toEqual(asked);
    const json = asked.map((query, i) => JSON.stringify(i % 2 === 0 ? { query } : { text: query, slice: 'a' }));
    expect(await readQueryTexts(await written('asked.jsonl', json), 22)).toEqual(asked.slice(0, 22));
  });

  test('tells what is wrong with it', async () => {
    const code = async (name: string, lines: readonly string[]) =>
      readQueryTexts(await written(name, lines), 200).catch((error: { code: string; message: string }) => error);
    expect(await code('few.txt', asked.slice(0, 3))).toMatchObject({
      code: 'queries_few',
      message: expect.stringMatching(/few\.txt holds 3 queries, at least 20 were expected\.$/),
    });
    expect(await code('none.jsonl', ['{"question":"?"}'])).toMatchObject({ code: 'queries_invalid' });
    expect(await code('bad.jsonl', ['{'])).toMatchObject({ code: 'queries_invalid' });
    await expect(readQueryTexts('/nonexistent', 200)).rejects.toMatchObject({ code: 'queries_unreadable' });
  });
});

const point = (setting: number, low: number, mean = low + 0.02): CurvePoint => ({
  setting,
  recall: { mean, low, high: mean + 0.02 },
  p50Ms: 1,
  p95Ms: 2,
});

describe('recallAt', () => {
  const exact = exactAnswer([0.1, 0.2, 0.2, 0.3], 3);

  test('counts the hits that are as near as the k-th of the exact search', () => {
    expect(recallAt([0.1, 0.2, 0.3], exact, 3)).toBeCloseTo(2 / 3);
    expect(recallAt([], exact, 3)).toBe(0);
  });

  test('takes any of several rows at one distance', () => {
    expect(recallAt([0.1, 0.2, 0.2], exactAnswer([0.1, 0.2, 0.2, 0.2], 3), 3)).toBe(1);
  });

  test('knows fewer rows than k', () => {
    expect(recallAt([0.1], exactAnswer([0.1], 10), 10)).toBe(1);
  });
});

describe('the curve', () => {
  test('goes from one list to all, and from as many candidates as hits to the most', () => {
    expect(probesGrid(100)).toEqual([1, 2, 4, 8, 16, 32, 64, 100]);
    expect(efSearchGrid(11).at(0)).toBe(11);
    expect(efSearchGrid(11).at(-1)).toBe(1000);
    expect(efSearchGrid(5000)).toEqual([1000]);
  });

  test('chooses the smallest by the lower end of the interval, not by the mean', () => {
    const points = [point(8, 0.97), point(2, 0.8), point(4, 0.94, 0.96)];
    expect(smallestReaching(points, 0.95)?.setting).toBe(8);
    expect(smallestReaching(points, 0.99)).toBeUndefined();
  });

  test('looks between the last that misses and the first that reaches, until they are neighbours', () => {
    const points = [point(1, 0.5), point(8, 0.9), point(16, 0.97), point(32, 0.99)];
    expect(settingBetween(points, 0.95)).toBe(12);
    expect(settingBetween([...points, point(12, 0.96)], 0.95)).toBe(10);
    expect(settingBetween([...points, point(15, 0.94)], 0.95)).toBeUndefined();
    expect(settingBetween([point(1, 0.99)], 0.95)).toBeUndefined();
    expect(settingBetween([point(1, 0.5)], 0.95)).toBeUndefined();
  });
});
