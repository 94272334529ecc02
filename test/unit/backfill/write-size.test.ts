import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createWriteSize, type WriteSize } from '../../../src/backfill/write-size.ts';

/** Writes as often as asked, each row at a cost; the sizes that were taken. */
function writeAll(size: WriteSize, times: number, cost: (rows: number) => number): number[] {
  return Array.from({ length: times }, () => {
    const rows = size.rows();
    size.wrote(rows, cost(rows));
    return rows;
  });
}

describe('the rows of a statement that writes', () => {
  it('are the most from the beginning, and stay so while nothing is slow', () => {
    const size = createWriteSize({ targetMs: 500, max: 1000 });
    expect(writeAll(size, 20, (rows) => rows * 0.03)).toEqual(new Array(20).fill(1000));
  });

  it('come to what takes the target, and stay there: a constant cost makes no waves', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 60, noNaN: true }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 50, max: 5_000 }),
        (perRow, max, targetMs) => {
          const size = createWriteSize({ targetMs, max });
          const sizes = writeAll(size, 60, (rows) => rows * perRow);
          const least = Math.min(10, max);
          for (const rows of sizes) {
            expect(rows).toBeGreaterThanOrEqual(least);
            expect(rows).toBeLessThanOrEqual(max);
          }
          const settled = sizes.slice(-20);
          expect(new Set(settled).size).toBe(1);
          const wanted = Math.min(max, Math.max(least, targetMs / perRow));
          expect(Math.abs((settled[0] ?? 0) - wanted)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it('are not thrown about by one slow statement, and come back after a slow time', () => {
    const size = createWriteSize({ targetMs: 500, max: 1000 });
    writeAll(size, 10, (rows) => rows * 0.3);
    size.wrote(1000, 1500);
    expect(size.rows()).toBeGreaterThan(500);
    expect(writeAll(size, 20, (rows) => rows * 5).at(-1)).toBe(100);
    expect(writeAll(size, 30, (rows) => rows * 0.1).at(-1)).toBe(1000);
  });

  it('are halved by each statement that runs out of time, down to one, and grow back slowly', () => {
    const size = createWriteSize({ targetMs: 500, max: 1000 });
    const halved: number[] = [];
    while (size.rows() > 1) {
      size.timedOut(size.rows());
      halved.push(size.rows());
    }
    expect(halved).toEqual([500, 250, 125, 62, 31, 15, 7, 3, 1]);
    const back = writeAll(size, 120, () => 0.01);
    expect(back.at(-1)).toBe(1000);
    for (const [i, rows] of back.slice(1).entries()) expect(rows).toBeLessThanOrEqual((back[i] ?? 0) * 1.1 + 1);
  });

  it('learn nothing from the rest of a window', () => {
    const size = createWriteSize({ targetMs: 500, max: 1000 });
    size.wrote(3, 30_000);
    expect(size.rows()).toBe(1000);
  });
});
