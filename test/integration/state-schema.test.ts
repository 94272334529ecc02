import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

let chain: Chain;
beforeEach(async () => {
  chain = await openChain();
  await makeSegments(chain.db, { rows: 20 });
});
afterEach(() => chain.close());

async function tablesOf(schema: string): Promise<string[]> {
  const { rows } = await chain.db.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY 1`,
    [schema],
  );
  return rows.map((row) => row.name);
}

describe('a state schema that is not reembed’s own', () => {
  const runtime = { stateSchema: 'app' };
  beforeEach(async () => {
    await chain.db.query('CREATE SCHEMA app');
    await chain.db.query('CREATE TABLE app.orders (id int PRIMARY KEY)');
  });

  it('keeps the application’s tables when 005 is refused', async () => {
    await expect(expand(chain.context({ text: 'no_such_column' }, runtime))).rejects.toMatchObject({
      code: 'text_missing',
    });
    expect(await tablesOf('app')).toEqual(['orders']);
  });

  it('keeps them when 005 is undone, and takes its own away', async () => {
    await expand(chain.context({}, runtime));
    expect(await tablesOf('app')).toContain('migrations');
    await undoExpand(chain.context({}, runtime));
    expect(await tablesOf('app')).toEqual(['orders']);
  });

  it('leaves an empty schema that somebody made for it', async () => {
    await chain.db.query('DROP TABLE app.orders');
    await expand(chain.context({}, runtime));
    await undoExpand(chain.context({}, runtime));
    await expand(chain.context({}, runtime));
    expect(await tablesOf('app')).toContain('migrations');
  });
});

it('lets a role edit texts that may not look into the extension’s schema', async (test) => {
  test.skip(chain.db.embedded, 'the embedded database has one session for all roles');
  const { db } = chain;
  const role = `reembed_editor_${process.pid}`;
  await db.query('CREATE SCHEMA ext');
  await db.query('ALTER EXTENSION vector SET SCHEMA ext');
  await db.query('REVOKE ALL ON SCHEMA ext FROM PUBLIC');
  await db.query(`CREATE ROLE ${role}`);
  try {
    await db.query(`GRANT SELECT, UPDATE ON segments TO ${role}`);
    await expand(chain.context());
    await fill(chain.context());
    await db.transaction(async (tx) => {
      await tx.query(`SET LOCAL ROLE ${role}`);
      await tx.query(`UPDATE segments SET text = 'edited' WHERE id = 1`);
    });
    const { rows } = await db.query('SELECT count(*)::int AS n FROM segments WHERE embedding_384 IS NULL');
    expect(rows).toEqual([{ n: 1 }]);
  } finally {
    await db.query(`DROP OWNED BY ${role}`);
    await db.query(`DROP ROLE ${role}`);
  }
});
