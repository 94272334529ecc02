import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { preflight } from '../../src/inspect/preflight.ts';
import { expand } from '../../src/steps/expand.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { codes, look, messageOf, TABLE } from '../helpers/preflight-bed.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

describe('triggers of the user', () => {
  const AUDIT = `${TABLE}; CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`;

  it('that every backfilled row would fire are refused, unless that is wanted', async () => {
    const sql = `${AUDIT}; CREATE TRIGGER audit BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION touch()`;
    expect(messageOf(await look(chain, sql), 'user_triggers')).toContain('own UPDATE triggers: audit');
    expect(codes(await look(chain, sql, { userTriggers: 'fire' }))).toEqual([]);
  });

  it('for a statement count as well', async () => {
    const sql = `${AUDIT}; CREATE TRIGGER webhook AFTER INSERT OR UPDATE ON segments FOR EACH STATEMENT EXECUTE FUNCTION touch()`;
    expect(codes(await look(chain, sql))).toEqual(['user_triggers']);
  });

  it.each([
    ['declared for other columns', 'BEFORE UPDATE OF text ON segments'],
    ['on INSERT', 'BEFORE INSERT ON segments'],
  ])('%s do not matter', async (_, when) => {
    const report = await look(chain, `${AUDIT}; CREATE TRIGGER other ${when} FOR EACH ROW EXECUTE FUNCTION touch()`);
    expect(codes(report)).toEqual([]);
  });

  it('that are disabled do not matter', async () => {
    const report = await look(
      chain,
      `${AUDIT}; CREATE TRIGGER audit BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION touch(); ALTER TABLE segments DISABLE TRIGGER audit`,
    );
    expect(codes(report)).toEqual([]);
  });
});

describe('what reads the old column', () => {
  it('is a warning with what to do about it', async () => {
    const report = await look(chain, `${TABLE}; CREATE VIEW passages AS SELECT id, embedding FROM segments`);
    expect(report.ok).toBe(true);
    expect(report.findings).toMatchObject([
      { severity: 'warning', code: 'dependent_bound', message: expect.stringContaining('public.passages') },
    ]);
  });

  it('is found in the source of functions', async () => {
    const report = await look(
      chain,
      `${TABLE}; CREATE OR REPLACE FUNCTION find_near(q vector) RETURNS SETOF bigint LANGUAGE sql AS
       'SELECT id FROM segments ORDER BY embedding <=> q LIMIT 5'`,
    );
    expect(codes(report)).toEqual(['dependent_mentions']);
    await chain.db.query('DROP FUNCTION find_near');
  });
});

describe('an undeclared number of dimensions', () => {
  it('is a warning, and the stored vectors tell it', async () => {
    const report = await look(
      chain,
      `CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector); INSERT INTO segments VALUES (1, 't', '[1,2,3]')`,
    );
    expect(codes(report)).toEqual(['no_dimensions']);
    expect(report.facts?.oldDimensions).toBe(3);
  });
});

describe('around a migration of one’s own', () => {
  it('a repeated 005 finds nothing', async () => {
    await look(chain, TABLE);
    const ctx = chain.context();
    await expand(ctx);
    expect((await preflight(ctx)).findings).toEqual([]);
    await chain.db.query('DROP SCHEMA reembed CASCADE');
  });

  it('a column of ours with another size is told with both sizes', async () => {
    await look(chain, TABLE);
    await expand(chain.context());
    const report = await preflight(chain.context({ target: 'embedding_384', dimensions: 512, model: 'hash/512' }));
    expect(messageOf(report, 'target_dimensions')).toBe(
      'segments.embedding_384 is vector(384), the model makes 512 dimensions.',
    );
    await chain.db.query('DROP SCHEMA reembed CASCADE');
  });

  it('two migrations of one column at a time are refused', async () => {
    await look(chain, TABLE);
    await expand(chain.context());
    const report = await preflight(chain.context({ id: 'other', dimensions: 64, model: 'hash/64' }));
    expect(messageOf(report, 'migration_overlaps')).toContain('"segments-hash" (phase expanded) already works on');
    await chain.db.query('DROP SCHEMA reembed CASCADE');
  });

  it('columns whose state was dropped are a warning: they are made again', async () => {
    await look(chain, TABLE);
    await expand(chain.context());
    await chain.db.query('DROP SCHEMA reembed CASCADE');
    const report = await preflight(chain.context());
    expect(codes(report)).toEqual(['target_left_over']);
    expect(report.ok).toBe(true);
  });
});
