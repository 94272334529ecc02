import { expect, test } from 'vitest';
import { warnWhenOutpaced } from '../../../src/backfill/outpaced.ts';
import { providerSource } from '../../../src/backfill/provider-source.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import type { MigrationContext } from '../../../src/state/context.ts';

/** Walks that met so many rows, one a minute; all of them embedded unless said. */
function warningsAfter(walks: readonly number[], embedded = 1): readonly string[] {
  const events: ProgressEvent[] = [];
  const ctx = { onProgress: (event: ProgressEvent) => void events.push(event) } as unknown as MigrationContext;
  let clock = 0;
  const warn = warnWhenOutpaced({ ctx, source: providerSource(hashProvider('hash/16')) }, () => clock);
  for (const [i, rows] of walks.entries()) {
    clock += 60_000;
    warn({ rows, progressed: rows * embedded, few: [] }, i + 1);
  }
  return events.map((event) => (event.kind === 'warning' ? event.message : event.kind));
}

test('an application that writes as fast as the model embeds is told of, each time that a walk met no fewer rows', () => {
  const [first, ...others] = warningsAfter([1_000_000, 20_000, 20_000, 25_000]);
  expect(first).toMatch(
    /^Walk 3 met 20000 pending rows, the one before it 20000: the application writes rows as fast as hash\/16 /,
  );
  expect(others).toHaveLength(1);
});

test('a backfill that comes nearer to its end is no reason to warn', () => {
  expect(warningsAfter([1_000_000, 20_000, 800])).toEqual([]);
  expect(warningsAfter([1_000_000, 300, 400])).toEqual([]);
});

test('rows that somebody holds locked are another matter', () => {
  expect(warningsAfter([1_000, 1_000, 1_000], 0)).toEqual([]);
});
