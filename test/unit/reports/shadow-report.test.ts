import { expect, it } from 'vitest';
import type { ShadowReport } from '../../../src/evaluate/shadow/types.ts';
import { shadowText } from '../../../src/reports/shadow-report.ts';

const report: ShadowReport = {
  ...{ migration: 'docs', since: '2026-05-01T10:00:00Z', until: '2026-05-01T12:00:00Z', searches: 1200, leftOut: 3 },
  ...{ complete: true, served: { old: 1200, new: 0 }, k: { least: 10, most: 10 }, firstChanged: 0.4123 },
  overlap: { mean: 0.6149, low: 0.6, high: 0.63 },
  rankBiasedOverlap: { mean: 0.58, low: 0.57, high: 0.59 },
  latency: { old: { p50: 12.34, p95: 30 }, new: { p50: 8.04, p95: 15 } },
  worst: [
    {
      ...{ at: '2026-05-01T11:00:00Z', served: 'old', overlap: 0.1, query: 'drop a table', queryHash: 'ab' },
      ...{ lost: ['1', '2', '3', '4', '5', '6'], gained: [], moved: [] },
    },
  ],
};

it('says what was compared, how far the sides agree, and that this is no verdict', () => {
  const text = shadowText(report);
  expect(text).toContain('1,200 searches of docs asked of both sides');
  expect(text).toContain('3 left out');
  expect(text).toMatch(/overlap@10 +\| 0\.61 +\| 0\.60 to 0\.63/);
  expect(text).toMatch(/another first hit +\| +41%/);
  expect(text).toMatch(/\| new +\| +8\.0 +\| +15 \|/);
  expect(text).toContain(
    '0.10  "drop a table": 1, 2, 3, 4, 5 and 1 more by the old side only, nothing by the new one only',
  );
  expect(text).toMatch(/not which side is better/);
});

it('warns of a backfill that is not complete, and tells what a monitor could not compare', () => {
  const text = shadowText({ ...report, complete: false, failed: 2, lastError: 'no answer', worst: [] });
  expect(text).toContain('The backfill is not complete');
  expect(text).toContain('2 could not be compared, the last one: no answer');
  expect(text).not.toContain('Least in common');
});
