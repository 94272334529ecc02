/**
 * A process with an embedded database for tests that kill it: inserts numbered rows one by one and prints each number
 * once its commit has come back. Arguments: data directory, and `once` to end without stopping the server.
 */
import pg from 'pg';
import { startEmbedded } from '../../src/db/embedded.ts';

const [dataDir, mode] = process.argv.slice(2);
const server = await startEmbedded({ dataDir: dataDir ?? '' });
const { host, port, user, database } = server.settings;
const client = new pg.Client({ host, port, user, database } as pg.ClientConfig);
await client.connect();
await client.query('CREATE TABLE IF NOT EXISTS written (n int PRIMARY KEY, filler text)');
const { rows } = await client.query<{ n: number }>('SELECT coalesce(max(n), 0) AS n FROM written');
const first = (rows[0]?.n ?? 0) + 1;
for (let n = first; mode !== 'once' || n < first + 3; n += 1) {
  await client.query('INSERT INTO written VALUES ($1, repeat(md5($1::int::text), 20))', [n]);
  process.stdout.write(`${n}\n`);
}
await client.end();
