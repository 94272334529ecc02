import { expect, it } from 'vitest';
import { count } from '../../src/cli/text.ts';
import { plural } from '../../src/plural.ts';
import { progressText } from '../../src/reports/progress-text.ts';

it.each([
  [0, 'rows have'],
  [1, 'row has'],
  [2, 'rows have'],
])('%i takes its own form of noun and verb', (n, words) => {
  expect(`${plural(n, 'row')} ${plural(n, 'has', 'have')}`).toBe(words);
});

it('is what the command line and the progress say', () => {
  expect([count(1, 'row'), count(1_000, 'row'), count(2, 'index', 'indexes')]).toEqual([
    '1 row',
    '1,000 rows',
    '2 indexes',
  ]);
  const rows = { kind: 'rows', done: 1, total: 1, rate: 3, etaSeconds: undefined } as const;
  expect(progressText(rows)).toMatch(/^1 of 1 row, /);
});
