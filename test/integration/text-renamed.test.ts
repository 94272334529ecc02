import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readStatus } from '../../src/inspect/status.ts';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { searchTable } from '../../src/search/search.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, insertSegments, makeSegments, openChain } from '../helpers/chain.ts';
import { wrongVectors } from '../helpers/oracle.ts';

const RENAMED = { table: 'segments', key: 'id', text: 'body' };
const REFUSED = {
  code: 'text_renamed',
  message: 'The text column "text" of public.segments was renamed to "body" since "segments-hash" began.',
  hint: `Set text: 'body' in reembed.config.ts (or REEMBED_TEXT_COLUMN), then run the same command again: it goes on where it stopped.`,
};

let chain: Chain;
beforeEach(async () => {
  chain = await openChain();
  await makeSegments(chain.db, { rows: 30 });
  await expand(chain.context());
  await fill(chain.context());
});
afterEach(() => chain.close());

const provider = async () => hashProvider('hash/384');
const rename = () => chain.db.query('ALTER TABLE segments RENAME COLUMN text TO body');
const renamed = () => chain.context({ text: 'body' });

describe('a text column that the application renames during a migration', () => {
  it('is named by every command, with what to set', async () => {
    await rename();
    const context = chain.context();
    for (const run of [fill, cutOver, undoFill, readStatus, () => verify(context, { provider })]) {
      await expect(run(context)).rejects.toMatchObject(REFUSED);
    }
  });

  it('is gone on with under its new name, without embedding anything again', async () => {
    await rename();
    await chain.db.query(`UPDATE segments SET body = 'edited' WHERE id = 7`);
    expect(await readStatus(renamed())).toMatchObject({ rows: { done: 29, pending: 1 } });
    expect(await fill(renamed())).toMatchObject({ run: { written: 1 } });
    await cutOver(renamed());
    expect(await wrongVectors(chain.db, RENAMED, 'embedding')).toEqual([]);
    await undoCutOver(renamed());
    await undoExpand(renamed());
  });

  it('is not mistaken for another column that the configuration names', async () => {
    await rename();
    await chain.db.query('ALTER TABLE segments ADD COLUMN summary text');
    await expect(fill(chain.context({ text: 'summary' }))).rejects.toMatchObject(REFUSED);
  });

  it('does not keep 005 down from its work, nor where it was dropped', async () => {
    await chain.db.query('ALTER TABLE segments DROP COLUMN text CASCADE');
    await expect(fill(chain.context())).rejects.toMatchObject({
      code: 'text_gone',
      message: 'public.segments has no column "text" any more, whose text "segments-hash" embeds.',
    });
    expect(await undoExpand(chain.context())).toMatchObject({ changed: true });
  });

  it('is named too when it is renamed under a running backfill', async () => {
    await insertSegments(chain.db, 10, 16);
    const ctx = chain.context();
    const query: typeof ctx.db.query = async (text, params) => {
      if (text.includes('sha256')) await rename().catch(() => undefined);
      return ctx.db.query(text, params);
    };
    await expect(fill({ ...ctx, db: { ...ctx.db, query } })).rejects.toMatchObject(REFUSED);
  });

  it('after the swap may have any name that the configuration follows', async () => {
    await cutOver(chain.context());
    await rename();
    await expect(readStatus(chain.context())).rejects.toMatchObject(REFUSED);
    expect(await readStatus(renamed())).toMatchObject({ phase: 'swapped', rows: { done: 30, pending: 0 } });
    const found = await searchTable(renamed(), { query: 'topic 7', providers: { new: provider, old: provider } });
    expect(JSON.stringify(found)).toContain('about topic 7');
    await chain.db.query(`ALTER TABLE segments ADD COLUMN summary text DEFAULT 'another text'`);
    await chain.db.query(`UPDATE segments SET body = 'edited' WHERE id = 7`);
    await expect(fill(chain.context({ text: 'summary' }))).rejects.toMatchObject(REFUSED);
    expect(await fill(renamed())).toMatchObject({ run: { written: 1 } });
    expect(await wrongVectors(chain.db, RENAMED, 'embedding')).toEqual([]);
  });
});
