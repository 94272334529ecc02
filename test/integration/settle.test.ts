import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuseUnsettled } from '../../src/backfill/refuse-unsettled.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill, fillLeased } from '../../src/steps/fill.ts';
import { withLease } from '../../src/steps/with-lease.ts';
import { refusal } from '../helpers/backup-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

const ROWS = 640;
const WINDOW = 80;

/** While it embeds the last window of a walk, the application edits every row: the next walk meets all of them again. */
function editingAtTheEnd(): EmbeddingProvider {
  const inner = hashProvider('hash/384');
  return {
    ...inner,
    async embed(texts, options) {
      if (texts.some((text) => /item 640\b/.test(text))) await chain.db.query(`UPDATE segments SET text = text || '.'`);
      return inner.embed(texts, options);
    },
  };
}

test('a swap that the application outpaces ends with the reason and both rates, and goes through once the writers are quiet', async () => {
  await makeSegments(chain.db, { rows: ROWS, dimensions: 4 });
  const ctx = chain.context({}, { batchRows: WINDOW, concurrency: 1, writers: 1 });
  await expand(ctx);
  const lazy = { get: async () => editingAtTheEnd(), close: async () => undefined };
  const settling = withLease(ctx, 'cut-over', ({ ctx: leased, lease }) =>
    fillLeased(leased, lease, lazy, refuseUnsettled('public.segments', 'hash/384')),
  );
  const error = await refusal(settling);
  expect(error.message).toMatch(/public\.segments does not settle: .*(?:640, ){4}640 pending rows/);
  expect(error).toMatchObject({ code: 'cannot_settle', context: { pending: Array(5).fill(ROWS) } });
  expect(await fill(ctx)).toMatchObject({ changed: true, rows: { done: ROWS, pending: 0 } });
});
