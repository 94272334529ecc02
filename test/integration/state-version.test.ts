import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readStatus } from '../../src/inspect/status.ts';
import { createTriggerSql } from '../../src/sql/trigger.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { type Chain, insertSegments, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const VERSION_1 = readFileSync(new URL('../fixtures/state-1.sql', import.meta.url), 'utf8');
const TABLES = ['models', 'migrations', 'leases', 'quarantine', 'events'];

let chain: Chain;
beforeEach(async () => {
  chain = await openChain();
  await makeSegments(chain.db, { rows: 60 });
});
afterEach(() => chain.close());

/** 005 is done and 006 half, and the state of both is in tables that version 1 made. */
async function halfDoneByVersion1(): Promise<void> {
  const { db } = chain;
  await expand(chain.context());
  await fill(chain.context());
  await insertSegments(db, 40, 16);
  const { record, target } = await resolveMigration(chain.context());
  await db.query(`ALTER SCHEMA reembed RENAME TO present; ${VERSION_1}`);
  for (const table of TABLES) {
    const { rows } = await db.query<{ columns: string }>(
      `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns FROM pg_attribute
       WHERE attrelid = ('reembed.' || $1)::regclass AND attnum > 0`,
      [table],
    );
    const columns = rows[0]?.columns;
    await db.query(
      `INSERT INTO reembed.${table} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${columns} FROM present.${table}`,
    );
  }
  await db.query(
    `SELECT setval('reembed.' || relation || '_id_seq', 100) FROM unnest(ARRAY['models', 'events']) relation;
     DROP SCHEMA present CASCADE`,
  );
  for (const statement of createTriggerSql(target, record.id, { always: false })) await db.query(statement);
}

async function version(): Promise<unknown> {
  const { rows } = await chain.db.query<{ value: string }>(`SELECT value FROM reembed.meta WHERE key = 'version'`);
  return rows[0]?.value;
}

describe('a database that an older reembed left half done', () => {
  beforeEach(halfDoneByVersion1);

  it('is read as it is, and carried on with by the next step', async () => {
    expect(await readStatus(chain.context())).toMatchObject({ phase: 'backfilled', rows: { done: 60, pending: 40 } });
    expect(await version()).toBe('1');
    await fill(chain.context());
    expect(await version()).toBe('6');
    await expand(chain.context());
    await cutOver(chain.context());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('gets the very tables that a fresh one has', async () => {
    const shape = async (): Promise<unknown> =>
      (
        await chain.db.query(
          `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
           WHERE c.relnamespace = 'reembed'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 ORDER BY 1, 2`,
        )
      ).rows;
    await fill(chain.context());
    const upgraded = await shape();
    await undoExpand(chain.context());
    await expand(chain.context());
    expect(await shape()).toEqual(upgraded);
  });

  it('can be undone', async () => {
    await undoExpand(chain.context());
    const { rows } = await chain.db.query(`SELECT to_regnamespace('reembed') IS NULL AS gone`);
    expect(rows).toEqual([{ gone: true }]);
  });

  it('is not waited for behind a request that reads the state: the upgrade gives way and comes again', async (test) => {
    test.skip(chain.db.embedded, 'the embedded database has one session for everybody');
    const request = await chain.db.openSession();
    await request.query('BEGIN; SELECT active FROM reembed.migrations');
    setTimeout(() => void request.query('COMMIT'), 700);
    await fill(chain.context());
    await request.close();
    expect(await version()).toBe('6');
  });

  it('is refused to a role that does not own its tables, by name', async (test) => {
    test.skip(chain.db.embedded, 'the embedded database has one session for all roles');
    const role = `reembed_guest_${process.pid}`;
    await chain.db.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA reembed TO ${role};
      GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA reembed TO ${role}; GRANT SELECT, UPDATE ON segments TO ${role}`);
    const transaction: typeof chain.db.transaction = (work, options) =>
      chain.db.transaction(async (tx) => {
        await tx.query(`SET LOCAL ROLE ${role}`);
        return work(tx);
      }, options);
    try {
      const guest = { ...chain.context(), db: { ...chain.db, transaction } };
      await expect(fill(guest)).rejects.toMatchObject({
        code: 'state_upgrade_denied',
        message: 'An older reembed made the state in schema "reembed", and this role may not change its tables.',
      });
    } finally {
      await chain.db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});

it('every step refuses a state that a newer reembed made', async () => {
  await expand(chain.context());
  await chain.db.query(`UPDATE reembed.meta SET value = '99' WHERE key = 'version'`);
  for (const step of [expand, fill, cutOver, undoExpand]) {
    await expect(step(chain.context())).rejects.toMatchObject({ code: 'state_newer' });
  }
});
