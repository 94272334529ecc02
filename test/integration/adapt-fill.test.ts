import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type AdapterBed, countMakers, openAdapterBed, readMakers } from '../helpers/adapter-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS } from '../helpers/oracle.ts';

const ROWS = 1_500;

let chain: Chain;
let bed: AdapterBed;

beforeAll(async () => {
  chain = await openChain();
  bed = openAdapterBed();
  await bed.add(1, 16);
  await bed.add(2, 16);
});
afterAll(async () => {
  bed.close();
  await chain.close();
});
beforeEach(() => chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments'));

function contextFor(use: string | undefined, runtime: Partial<RuntimeSettings> = {}): ReturnType<Chain['context']> {
  return chain.context({}, { batchRows: 100, adapters: { dir: bed.dir, use, auto: false }, ...runtime });
}
const makers = async () => countMakers(await readMakers(chain.db, bed, SEGMENTS));

test('an adapter fills the column', async () => {
  await makeSegments(chain.db, { rows: ROWS });
  await expand(contextFor(undefined));
  await chain.db.query(
    'UPDATE segments SET text = NULL WHERE id = 7; UPDATE segments SET embedding = NULL WHERE id = 8',
  );
  const ctx = contextFor('seed-1');
  const result = await fill(ctx);
  console.log(
    result,
    ctx.events.map((e) => ('message' in e ? e.message : '')).filter((m) => m !== ''),
  );
  expect(await makers()).toEqual({ 'adapted:seed-1': ROWS - 1, 'hash/384': 1 });
});
