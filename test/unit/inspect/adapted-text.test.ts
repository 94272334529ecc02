import { expect, it } from 'vitest';
import type { AdaptedRows } from '../../../src/inspect/adapted-rows.ts';
import { adaptedRowsText } from '../../../src/inspect/adapted-text.ts';

const ROWS: AdaptedRows = {
  adapter: 'adapted:a--b',
  rows: 1,
  withoutText: 0,
  retention: { value: 0.936, low: 0.9, high: 0.97 },
  similarityPreservation: 0.9,
  problem: null,
};

it('says how many rows are adapted and what is known of the adapter, never more', () => {
  expect(adaptedRowsText(ROWS, 1)).toBe(
    '1 of 1 row holds adapted vectors (adapted:a--b, Recall@10 retention 0.94 (0.90 to 0.97) on held-out text)',
  );
  expect(adaptedRowsText({ ...ROWS, rows: 1200, retention: null }, 3000)).toBe(
    '1,200 of 3,000 rows hold adapted vectors (adapted:a--b, its retention was never measured)',
  );
  expect(adaptedRowsText({ ...ROWS, problem: 'it is gone' }, 2)).toContain(
    'adapted:a--b, of unknown quality: it is gone',
  );
});
