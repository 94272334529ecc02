import { afterAll, beforeEach, expect, it } from 'vitest';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

let chain: Chain | undefined;
beforeEach(async () => {
  chain ??= await openChain();
  await chain.db.query('DROP TABLE IF EXISTS segments; DROP SCHEMA IF EXISTS reembed CASCADE');
});
afterAll(() => chain?.close());

it.each([
  ['by default says that nobody has measured the new vectors', {}, 1],
  ['with REEMBED_GATE=off says nothing of it', { REEMBED_GATE: 'off' }, 0],
])('007 %s', async (_, environment, notices) => {
  if (chain === undefined) throw new Error('no database');
  await makeSegments(chain.db, { rows: 20 });
  await expand(chain.context());
  await fill(chain.context());
  const context = chain.context({}, { gate: loadRuntimeSettings(environment).gate });
  expect(await cutOver(context)).toMatchObject({ changed: true });
  const said = context.events.filter((event) => event.kind === 'notice' && event.message.includes('REEMBED_GATE=off'));
  expect(said).toHaveLength(notices);
  expect(said.every((event) => event.kind === 'notice' && /no evaluation is on record/.test(event.message))).toBe(true);
});
