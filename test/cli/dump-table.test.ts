import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeOnServer, openObserver } from '../helpers/fault-bed.ts';
import { createTestDatabase } from '../helpers/test-database.ts';
import { cliEnvironment, ROOT } from './run-cli.ts';

const lacking = spawnSync('pg_dump', ['--version']).status === 0 ? '' : ' (skipped: pg_dump is not installed)';

/** pg_dump refuses a server that is newer than itself. */
const dumpMajor = Number(
  / (\d+)/.exec(spawnSync('pg_dump', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? 0,
);

describeOnServer('the backup before the switch', () => {
  test.skipIf(lacking !== '')(`holds the table that .env names and no other${lacking}`, async (context) => {
    const database = await createTestDatabase();
    const observer = await openObserver(database.url);
    const { rows } = await observer.query<{ major: number }>(
      `SELECT current_setting('server_version_num')::int / 10000 AS major`,
    );
    if ((rows[0]?.major ?? 0) > dumpMajor) {
      await observer.close();
      await database.drop();
      context.skip(`pg_dump ${dumpMajor} is older than the server`);
    }
    const cwd = await mkdtemp(join(tmpdir(), 'reembed-dump-'));
    for (const name of ['Seg*', 'seg*', 'Segments']) await observer.query(`CREATE TABLE "${name}" (id int)`);
    await observer.close();
    const dump = async (table: string) => {
      await writeFile(join(cwd, '.env'), `DATABASE_URL=${database.url}\nREEMBED_TABLE='${table}'\n`);
      const script = ['--import', join(ROOT, 'node_modules/tsx/dist/loader.mjs'), join(ROOT, 'scripts/dump-table.ts')];
      return spawnSync(process.execPath, script, { cwd, env: cliEnvironment(), encoding: 'utf8' });
    };

    const made = await dump('public.Seg*');
    expect(made, made.stderr).toMatchObject({ status: 0, stderr: '' });
    const [file = '', ...others] = await readdir(join(cwd, 'reembed-backups'));
    expect(others).toEqual([]);
    const listed = spawnSync('pg_restore', ['--list', join(cwd, 'reembed-backups', file)], { encoding: 'utf8' });
    expect([...listed.stdout.matchAll(/ TABLE public (\S+)/g)].map((match) => match[1])).toEqual(['Seg*']);

    expect(await dump('Seg?')).toMatchObject({ status: 0, stdout: expect.stringContaining('no table Seg? yet') });
    expect(await readdir(join(cwd, 'reembed-backups'))).toEqual([file]);
    await rm(cwd, { recursive: true });
    await database.drop();
  });
});
