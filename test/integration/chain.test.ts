import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readStatus } from '../../src/inspect/status.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, makeSegments, openChain, staleKeys } from '../helpers/chain.ts';

const ROWS = 3_000;

/** Everything about a table that a user could miss afterwards. */
async function catalogOf(chain: Chain): Promise<unknown> {
  const { rows } = await chain.db.query(`
    SELECT 'column' AS kind, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS definition, a.attnotnull::text AS extra
      FROM pg_attribute a WHERE a.attrelid = 'segments'::regclass AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'index', c.relname, pg_get_indexdef(c.oid), i.indisvalid::text
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'segments'::regclass
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid), tgenabled::text FROM pg_trigger WHERE tgrelid = 'segments'::regclass
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid), convalidated::text FROM pg_constraint WHERE conrelid = 'segments'::regclass
    UNION ALL SELECT 'schema', nspname, '', '' FROM pg_namespace WHERE nspname = 'reembed'
    ORDER BY 1, 2`);
  return rows;
}

async function checksum(chain: Chain, columns: string): Promise<unknown> {
  const { rows } = await chain.db.query(
    `SELECT md5(string_agg((${columns})::text, '|' ORDER BY id)) AS sum FROM segments`,
  );
  return rows[0];
}

describe('the chain 005 → 006 → 007, step by step and back', () => {
  let chain: Chain;
  let before: unknown;
  let contents: unknown;

  beforeAll(async () => {
    chain = await openChain();
    await makeSegments(chain.db, { rows: ROWS });
    before = await catalogOf(chain);
    contents = await checksum(chain, 'id, text, embedding, voice');
  });
  afterAll(() => chain.close());

  it('says phase none before anything ran', async () => {
    expect(await readStatus(chain.context())).toMatchObject({ phase: 'none', active: 'old' });
  });

  it('005 adds the column and leaves the application nothing to notice', async () => {
    expect(await expand(chain.context())).toMatchObject({ changed: true, target: 'embedding_384' });
    expect(await readStatus(chain.context())).toMatchObject({
      phase: 'expanded',
      rows: { total: ROWS, done: 0, pending: ROWS },
    });
    expect(await checksum(chain, 'id, text, embedding, voice')).toEqual(contents);
    expect(await expand(chain.context())).toMatchObject({ changed: false });
  });

  it('006 embeds every row, and a second run finds nothing to do', async () => {
    const first = await fill(chain.context());
    expect(first).toMatchObject({
      changed: true,
      rows: { total: ROWS, done: ROWS, pending: 0, skipped: 0, quarantined: 0 },
    });
    expect(await staleKeys(chain.db, 'embedding_384')).toEqual([]);
    const second = chain.context();
    expect(await fill(second)).toMatchObject({ changed: false });
    expect(await readStatus(chain.context())).toMatchObject({ phase: 'backfilled' });
  });

  it('007 gives the application the new vectors under the old names', async () => {
    await cutOver(chain.context());
    expect(await readStatus(chain.context())).toMatchObject({
      phase: 'swapped',
      active: 'new',
      rows: { done: ROWS, pending: 0 },
    });
    expect(await staleKeys(chain.db, 'embedding')).toEqual([]);
    const { rows } = await chain.db.query(
      `SELECT pg_get_indexdef(indexrelid) AS def FROM pg_index WHERE indexrelid = 'idx_segments_text_embedding_ivfflat'::regclass AND indisvalid`,
    );
    expect(rows[0]).toMatchObject({ def: expect.stringMatching(/USING ivfflat \(embedding .*vector_cosine_ops\)/) });
    expect(await cutOver(chain.context())).toMatchObject({ changed: false });
  });

  it('embeds rows that came in without a vector after the swap, and leaves the application its own', async () => {
    const { db } = chain;
    await db.query(`INSERT INTO segments (id, text) VALUES (900001, 'a passage that nobody embedded')`);
    await db.query(
      `INSERT INTO segments (id, text, embedding) SELECT 900002, 'its own', embedding FROM segments WHERE id = 1`,
    );
    expect(await fill(chain.context())).toMatchObject({ changed: true, run: { written: 1 } });
    expect(await staleKeys(db, 'embedding')).toEqual(['900002']);
    await db.query('DELETE FROM segments WHERE id > 900000');
  });

  it('007 down gives the old vectors back, byte for byte', async () => {
    expect(await undoCutOver(chain.context())).toMatchObject({ changed: true });
    expect(await checksum(chain, 'id, text, embedding, voice')).toEqual(contents);
    expect(await readStatus(chain.context())).toMatchObject({ phase: 'backfilled', active: 'old' });
  });

  it('006 and 005 down leave the table as it was found', async () => {
    expect(await undoFill(chain.context())).toMatchObject({ cleared: ROWS });
    expect(await readStatus(chain.context())).toMatchObject({ phase: 'expanded', rows: { done: 0, pending: ROWS } });
    await undoExpand(chain.context());
    expect(await catalogOf(chain)).toEqual(before);
    expect(await checksum(chain, 'id, text, embedding, voice')).toEqual(contents);
  });

  it('goes up again to the end', async () => {
    await expand(chain.context());
    await fill(chain.context());
    await cutOver(chain.context());
    expect(await staleKeys(chain.db, 'embedding')).toEqual([]);
  });
});

describe('a fresh database', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await openChain();
    await chain.db.query(
      'CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding vector(1536), voice vector(4))',
    );
    await chain.db.query('CREATE INDEX segments_embedding_idx ON segments USING ivfflat (embedding vector_cosine_ops)');
  });
  afterAll(() => chain.close());

  it('passes 005, 006 and 007 without a model: none is there to be loaded', async () => {
    const context = chain.context({ model: '/nowhere/no-such-model', provider: 'local' });
    await expand(context);
    expect(await fill(context)).toMatchObject({ changed: false, rows: { total: 0 } });
    const swapped = await cutOver(context);
    // An IVFFlat index learns nothing from an empty table: an HNSW index takes its name, and that is said.
    expect(swapped.indexes).toMatchObject([{ name: 'segments_embedding_idx', kind: 'hnsw' }]);
    expect(context.events.some((event) => event.kind === 'notice' && /hnsw/i.test(event.message))).toBe(true);
  });
});
