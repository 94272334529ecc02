import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, type TestContext } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import type { Database } from '../../src/db/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { copyByDump, findDumpPrograms } from '../helpers/dump.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { wrongVectors } from '../helpers/oracle.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/test-database.ts';

const INPUT = { table: { schema: 'My app', name: 'segments' } };
const WATCHED = { table: '"My app".segments', key: 'id', text: 'text' };

describeOnServer('a database that is restored from a dump, where every table has another OID', () => {
  let chain: Chain;
  let copy: TestDatabase;
  let db: Database;
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'reembed-dump-'));
    chain = await openChain();
    copy = await createTestDatabase();
    db = openDatabase(copy.settings);
    await makeSegments(chain.db, { rows: 60 });
    await chain.db.query('CREATE SCHEMA "My app"; ALTER TABLE segments SET SCHEMA "My app"');
  });
  afterEach(async () => {
    await db.close();
    await copy.drop();
    await chain.close();
    await rm(directory, { recursive: true });
  });

  async function copyDatabase(test: TestContext): Promise<void> {
    const { rows } = await db.query<{ major: number }>(
      `SELECT current_setting('server_version_num')::int / 10000 AS major`,
    );
    const major = rows[0]?.major ?? 0;
    const programs = findDumpPrograms(major);
    if (programs === undefined) test.skip(`no pg_dump here that can read Postgres ${major}`);
    else copyByDump(programs, chain.database.url, copy.url, join(directory, 'dump'));
  }

  const restored = () => ({ ...chain.context(INPUT), db });
  const tableOid = async (ctx: ReturnType<Chain['context']>) => (await resolveMigration(ctx)).table.oid;

  it('goes on where 006 was, and keeps what is embedded', async (test) => {
    await expand(chain.context(INPUT));
    await fill(chain.context(INPUT));
    await chain.db.query(`INSERT INTO "My app".segments (text) SELECT 'later ' || i FROM generate_series(1, 40) i`);
    await copyDatabase(test);
    expect(await tableOid(restored())).not.toBe(await tableOid(chain.context(INPUT)));
    expect(await readStatus(restored())).toMatchObject({
      phase: 'backfilled',
      rows: { done: 60, pending: 40 },
      warnings: [],
    });
    expect(await expand(restored())).toMatchObject({ changed: false });
    expect(await fill(restored())).toMatchObject({ rows: { done: 100 }, run: { written: 40 } });
    await cutOver(restored());
    expect(await wrongVectors(db, WATCHED, 'embedding')).toEqual([]);
  });

  it('can be taken back after the swap', async (test) => {
    await expand(chain.context(INPUT));
    await fill(chain.context(INPUT));
    await cutOver(chain.context(INPUT));
    await copyDatabase(test);
    expect(await undoCutOver(restored())).toMatchObject({ changed: true });
    expect(await undoExpand(restored())).toMatchObject({ changed: true });
  });
});
