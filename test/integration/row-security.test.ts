import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import type { Database } from '../../src/db/types.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { wrongVectors } from '../helpers/oracle.ts';

const ROWS = 40;
/** Roles belong to the whole server. */
const SUFFIX = randomBytes(4).toString('hex');
const OWNER = `rls_owner_${SUFFIX}`;
const MEMBER = `rls_member_${SUFFIX}`;

describeOnServer('row-level security', () => {
  let chain: Chain;
  const opened: Database[] = [];

  beforeAll(async () => {
    chain = await openChain();
    const { rows } = await chain.db.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
    await chain.db.query(
      `CREATE ROLE ${OWNER} LOGIN PASSWORD '${SUFFIX}'; CREATE ROLE ${MEMBER} LOGIN BYPASSRLS PASSWORD '${SUFFIX}' IN ROLE ${OWNER};
       GRANT CREATE ON DATABASE ${rows[0]?.name} TO ${OWNER}; CREATE SCHEMA app AUTHORIZATION ${OWNER}`,
    );
  });
  beforeEach(async () => {
    await chain.db.query(
      `DROP TABLE IF EXISTS app.segments; DROP SCHEMA IF EXISTS reembed CASCADE; SET ROLE ${OWNER};
       CREATE TABLE app.segments (id int PRIMARY KEY, text text, embedding public.vector(8));
       INSERT INTO app.segments SELECT i, 'text ' || i, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, ${ROWS}) i;
       ALTER TABLE app.segments ENABLE ROW LEVEL SECURITY;
       CREATE POLICY half ON app.segments USING (id % 2 = 0); RESET ROLE`,
    );
  });
  afterAll(async () => {
    await Promise.all(opened.map((db) => db.close()));
    await chain.db.query(
      `DROP OWNED BY ${MEMBER}; DROP OWNED BY ${OWNER} CASCADE; DROP ROLE ${MEMBER}; DROP ROLE ${OWNER}`,
    );
    await chain.close();
  });

  function contextOf(role: string) {
    const url = new URL(chain.database.url);
    url.username = role;
    url.password = SUFFIX;
    const db = openDatabase({ connectionString: url.href, embedded: false });
    opened.push(db);
    return { ...chain.context({ id: 'rls', table: 'app.segments' }), db };
  }

  async function expectAllMigrated(role: string): Promise<void> {
    const ctx = contextOf(role);
    await expand(ctx);
    expect(await fill(ctx)).toMatchObject({ rows: { total: ROWS, done: ROWS } });
    await cutOver(ctx);
    expect(await wrongVectors(chain.db, { table: 'app.segments', key: 'id', text: 'text' }, 'embedding')).toEqual([]);
  }

  it('does not concern the owner, who sees every row', () => expectAllMigrated(OWNER));

  it('that is forced on the owner is refused before anything is changed, with what to do', async () => {
    await chain.db.query('ALTER TABLE app.segments FORCE ROW LEVEL SECURITY');
    await expect(expand(contextOf(OWNER))).rejects.toMatchObject({
      name: 'PreflightError',
      context: {
        findings: [
          {
            code: 'row_security',
            message: `Row security is enabled on "app.segments" and forced for its owner: the role "${OWNER}" would not see every row.`,
            hint: expect.stringContaining('NO FORCE ROW LEVEL SECURITY'),
          },
        ],
      },
    });
    const { rows } = await chain.db.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'reembed'`);
    expect(rows).toEqual([]);
  });

  it('that is forced does not concern a role with BYPASSRLS that may act for the owner', async () => {
    await chain.db.query('ALTER TABLE app.segments FORCE ROW LEVEL SECURITY');
    await expectAllMigrated(MEMBER);
  });

  it('that comes between two steps ends the next one with an error instead of half the rows', async () => {
    const ctx = contextOf(OWNER);
    await expand(ctx);
    await chain.db.query('ALTER TABLE app.segments FORCE ROW LEVEL SECURITY');
    await expect(fill(ctx)).rejects.toMatchObject({ message: expect.stringContaining('row-level security policy') });
    const { rows } = await chain.db.query<{ n: number }>('SELECT count(embedding_384)::int AS n FROM app.segments');
    expect(rows).toEqual([{ n: 0 }]);
  });
});
