import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

let chain: Chain;

beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());
beforeEach(() => chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments'));

const contextFor = (): ReturnType<Chain['context']> => chain.context({}, { batchRows: 100 });

describe('a trigger that is not there any more', () => {
  it.each([
    ['dropped', 'DROP TRIGGER "zzz_reembed_segments-hash" ON segments'],
    ['disabled', 'ALTER TABLE segments DISABLE TRIGGER USER'],
  ])('%s, is made again, and what was edited meanwhile is embedded again', async (_, sql) => {
    await makeSegments(chain.db, { rows: 100, dimensions: 8 });
    await expand(contextFor());
    await fill(contextFor());
    await chain.db.query(sql);
    await chain.db.query(`UPDATE segments SET text = 'unseen' WHERE id IN (4, 77)`);
    const ctx = contextFor();
    expect((await fill(ctx)).run).toMatchObject({ written: 2 });
    const messages = ctx.events.flatMap((event) => ('message' in event ? [event.message] : []));
    expect(messages).toContainEqual(
      expect.stringMatching(/^The trigger zzz_reembed_segments-hash of public.segments was dropped or disabled/),
    );
    await chain.db.query(`UPDATE segments SET text = 'seen' WHERE id = 5`);
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });
});

describe('a trigger that was bypassed', () => {
  it('is found out by verify --full, which names the rows; cleared, they are embedded again', async () => {
    await makeSegments(chain.db, { rows: 300, dimensions: 8 });
    await expand(contextFor());
    await fill(contextFor());
    await chain.db.transaction(async (tx) => {
      await tx.query('SET LOCAL session_replication_role = replica');
      await tx.query(`UPDATE segments SET text = 'past the trigger' WHERE id IN (4, 77)`);
    });
    const options = { full: true, provider: async () => hashProvider('hash/384') };
    const report = await verify(contextFor(), options);
    expect(report.checks.filter((check) => !check.ok)).toMatchObject([
      { name: 'text hashes', detail: 'all rows: 2 texts are not those that were embedded: 4, 77' },
      { name: 'embedded again', detail: expect.stringMatching(/2 below it: 4, 77$/) },
    ]);
    await chain.db.query('UPDATE segments SET embedding_384 = NULL WHERE id IN (4, 77)');
    expect((await fill(contextFor())).run).toMatchObject({ written: 2 });
    expect((await verify(contextFor(), options)).ok).toBe(true);
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });
});
