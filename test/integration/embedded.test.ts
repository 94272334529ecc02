import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startEmbedded } from '../../src/db/embedded.ts';
import type { EmbeddedServer } from '../../src/db/types.ts';
import { createDataDirectory } from '../helpers/test-database.ts';

const root = mkdtempSync(join(tmpdir(), 'reembed-embedded-test-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function connect(server: EmbeddedServer): Promise<pg.Client> {
  const { host, port, user, database } = server.settings;
  const client = new pg.Client({ host, port, user, database } as pg.ClientConfig);
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function startChild(dataDir: string, mode = 'forever'): ChildProcess {
  const script = join(import.meta.dirname, '../helpers/embedded-child.ts');
  // Started with less CPU: V8 does not optimise what so short a process runs.
  return spawn(process.execPath, ['--liftoff-only', '--import', 'tsx', script, dataDir, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no stdout');
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit')])) as [string];
  if (child.exitCode !== null) throw new Error(`the child exited with ${child.exitCode}`);
  return line;
}

describe('connections to the embedded database', () => {
  let server: EmbeddedServer;
  const clients: pg.Client[] = [];
  const client = async (): Promise<pg.Client> => {
    const made = await connect(server);
    clients.push(made);
    return made;
  };
  beforeAll(async () => {
    server = await startEmbedded();
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((each) => each.end().catch(() => undefined)));
  });
  afterAll(() => server.stop());

  test('pgvector is there', async () => {
    const { rows } = await (await client()).query("SELECT '[1,2]'::vector <-> '[1,4]'::vector AS distance");
    expect(rows).toEqual([{ distance: 2 }]);
  });

  test('large parameters of several connections never reach each other', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, client));
    const failures: unknown[] = [];
    const ask = async (one: pg.Client, index: number): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        const text = `${index}-${round}-`.repeat(30_000);
        const params = index % 2 === 0 ? [text] : [text, round];
        const sql = index % 2 === 0 ? 'SELECT md5($1::text) AS sum' : 'SELECT md5($1::text) AS sum, $2::int AS round';
        const expected = await one.query('SELECT md5(repeat($1, 30000)) AS sum', [`${index}-${round}-`]);
        const { rows } = await one.query(sql, params);
        if (rows[0].sum !== expected.rows[0].sum) failures.push({ index, round });
      }
    };
    await Promise.all(all.map(ask));
    expect(failures).toEqual([]);
  });

  test('a statement waits for the end of another connection’s transaction and then sees its rows', async () => {
    const [one, two] = [await client(), await client()];
    await one.query('CREATE TABLE waits (n int)');
    await one.query('BEGIN');
    await one.query('INSERT INTO waits VALUES (1)');
    const counted = two.query('SELECT count(*)::int AS n FROM waits');
    await one.query('INSERT INTO waits VALUES (2)');
    await one.query('COMMIT');
    expect((await counted).rows).toEqual([{ n: 2 }]);
  });

  test('a connection that goes away inside a transaction leaves nothing of it and blocks nobody', async () => {
    const [one, two] = [await client(), await client()];
    await one.query('CREATE TABLE abandoned (n int)');
    await one.query('BEGIN');
    await one.query('INSERT INTO abandoned VALUES (1)');
    const counted = two.query('SELECT count(*)::int AS n FROM abandoned');
    (one as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    expect((await counted).rows).toEqual([{ n: 0 }]);
  });

  test('after an error a transaction refuses statements until its ROLLBACK, others go on', async () => {
    const [one, two] = [await client(), await client()];
    await one.query('BEGIN');
    await expect(one.query('SELECT 1 / $1::int', [0])).rejects.toMatchObject({ code: '22012' });
    await expect(one.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    const other = two.query('SELECT 1 AS one');
    await one.query('ROLLBACK');
    expect((await other).rows).toEqual([{ one: 1 }]);
    expect((await one.query('SELECT $1::int AS n', [7])).rows).toEqual([{ n: 7 }]);
  });

  test('COPY FROM STDIN is refused and the connection stays usable', async () => {
    const one = await client();
    await one.query('CREATE TABLE copied (n int)');
    await expect(one.query('COPY copied FROM STDIN')).rejects.toMatchObject({ code: '0A000' });
    await expect(one.query(' copy copied (n) from stdin (format binary)', [])).rejects.toMatchObject({ code: '0A000' });
    expect((await one.query("SELECT 'copy this from stdin' AS text")).rows).toHaveLength(1);
  });

  test('the last connection leaves no settings and no prepared statements behind', async () => {
    const own = await startEmbedded();
    const one = await connect(own);
    await one.query("SET lock_timeout = '7s'");
    await one.query({ name: 'mine', text: 'SELECT 1' });
    await one.end();
    const two = await connect(own);
    expect((await two.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '0' }]);
    await two.query({ name: 'mine', text: 'SELECT 2' });
    await two.end();
    await own.stop();
  });

  test('an index can be built CONCURRENTLY', async () => {
    const one = await client();
    await one.query('CREATE TABLE indexed (v vector(3))');
    await one.query("INSERT INTO indexed SELECT ('[1,2,' || n || ']')::vector FROM generate_series(1, 500) n");
    await one.query('CREATE INDEX CONCURRENTLY indexed_v ON indexed USING hnsw (v vector_cosine_ops)');
    const { rows } = await one.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'indexed_v'::regclass");
    expect(rows).toEqual([{ indisvalid: true }]);
  });
});

/** A data directory in which a database has been made before. */
async function ready(name: string): Promise<string> {
  const dataDir = join(root, name);
  await createDataDirectory(dataDir);
  return dataDir;
}

describe('the data directory', () => {
  test('rows are there after stop and start, and the lock is gone in between', async () => {
    const dataDir = await ready('again');
    const first = await startEmbedded({ dataDir });
    const one = await connect(first);
    await one.query('CREATE TABLE kept AS SELECT 42 AS n');
    await one.end();
    await first.stop();
    expect(existsSync(join(dataDir, 'reembed.lock'))).toBe(false);
    const second = await startEmbedded({ dataDir });
    const two = await connect(second);
    expect((await two.query('SELECT n FROM kept')).rows).toEqual([{ n: 42 }]);
    await two.end();
    await second.stop();
  });

  test('two starts in one process share the server until the last stop', async () => {
    const dataDir = await ready('shared');
    const [first, second] = await Promise.all([startEmbedded({ dataDir }), startEmbedded({ dataDir })]);
    expect(second.settings).toEqual(first.settings);
    await first.stop();
    const one = await connect(second);
    expect((await one.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
    await one.end();
    const stopping = second.stop();
    const third = await startEmbedded({ dataDir });
    await stopping;
    await third.stop();
  });

  test('a second process is refused with the id of the first', async () => {
    const dataDir = await ready('busy');
    const child = startChild(dataDir);
    await firstLine(child);
    await expect(startEmbedded({ dataDir })).rejects.toMatchObject({
      code: 'embedded_busy',
      message: expect.stringContaining(`process ${child.pid}`),
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  test('kill -9 at random moments loses no committed row and the next start works', async () => {
    const dataDir = await ready('killed');
    let committed = 0;
    for (let kill = 0; kill < 4; kill += 1) {
      const child = startChild(dataDir);
      const gone = once(child, 'exit');
      child.stdout?.on('data', (lines: Buffer) => {
        committed = Number(String(lines).trim().split('\n').at(-1));
      });
      await firstLine(child);
      await sleep(Math.random() * 300);
      child.kill('SIGKILL');
      await gone;
    }
    const server = await startEmbedded({ dataDir });
    const one = await connect(server);
    const { rows } = await one.query('SELECT count(*)::int AS rows, max(n) AS last FROM written');
    expect(rows[0].last).toBeGreaterThanOrEqual(committed);
    expect(rows[0].rows).toBe(rows[0].last);
    await one.end();
    await server.stop();
  });

  test('killed while it is being made, it is made anew', async () => {
    const dataDir = join(root, 'unfinished');
    const child = startChild(dataDir);
    while (!existsSync(join(dataDir, 'postgres'))) await sleep(5);
    await sleep(100);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(readdirSync(dataDir)).toContain('initialising');
    const server = await startEmbedded({ dataDir });
    const one = await connect(server);
    expect((await one.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
    await one.end();
    await server.stop();
  });

  test('the server keeps no process alive and cleans up behind it', async () => {
    const dataDir = await ready('exits');
    const child = startChild(dataDir, 'once');
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(readdirSync(dataDir)).toEqual(['postgres']);
  });

  test('a directory with other files is refused and left as it is', async () => {
    const dataDir = mkdtempSync(join(root, 'foreign-'));
    writeFileSync(join(dataDir, 'diary.txt'), 'dear diary');
    await expect(startEmbedded({ dataDir })).rejects.toMatchObject({
      code: 'embedded_directory',
      message: expect.stringContaining('diary.txt'),
    });
    expect(readdirSync(dataDir)).toEqual(['diary.txt']);
  });

  test('a damaged database is named, with what to do, and the lock is given back', async () => {
    const dataDir = await ready('damaged');
    await (await startEmbedded({ dataDir })).stop();
    truncateSync(join(dataDir, 'postgres/global/pg_control'), 100);
    await expect(startEmbedded({ dataDir })).rejects.toMatchObject({
      code: 'embedded_start',
      message: expect.stringContaining(dataDir),
      hint: expect.stringContaining('REEMBED_DATA_DIR'),
    });
    expect(existsSync(join(dataDir, 'reembed.lock'))).toBe(false);
  });
});
