import { expect, test } from 'vitest';
import { refuseUnsettled } from '../../../src/backfill/refuse-unsettled.ts';
import { BusyError } from '../../../src/errors.ts';

/** Walks of 10 s each; what ends the run, or undefined when nothing does. */
function walks(rows: readonly number[], progressed = (met: number): number => met): BusyError | undefined {
  let seconds = 0;
  const afterWalk = refuseUnsettled('public.segments', 'some/model', () => seconds * 1000);
  try {
    for (const met of rows) {
      seconds += 10;
      afterWalk({ rows: met, progressed: progressed(met) });
    }
    return undefined;
  } catch (error) {
    if (error instanceof BusyError) return error;
    throw error;
  }
}

test('a catch-up that meets as many rows walk after walk ends with both rates, what each met, and the way on', () => {
  const error = walks([90_000, 6000, 5000, 5500, 6100, 5800]);
  expect(error?.code).toBe('cannot_settle');
  expect(error?.message).toContain('met 6000, 5000, 5500, 6100, 5800 pending rows');
  expect(error?.message).toContain('writes about 568 rows/s, some/model embeds about 568 rows/s');
  expect(error?.hint).toContain('EMBEDDING_THREADS');
});

test('one whose rows become fewer, however slowly, or that meets few, or that others hold locked, goes on', () => {
  expect(walks([90_000, 6000, 5800, 5600, 5400, 5200, 5000, 4800, 4600, 4400])).toBeUndefined();
  expect(walks([900, 499, 500, 480, 470, 500, 500, 500, 500])).toBeUndefined();
  expect(walks([6000, 6000, 6000, 6000, 6000, 6000, 6000], () => 0)).toBeUndefined();
  expect(walks([6000, 6000, 6000, 6000, 100, 6000, 6000, 6000, 6000])).toBeUndefined();
});
