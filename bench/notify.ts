// What waking a sync worker costs the application: writers that commit single-row updates, with and without the NOTIFY trigger, in turns.
// DATABASE_URL=postgresql://… npx tsx bench/notify.ts [--writers 8] [--seconds 4] [--rounds 5]
import { parseArgs } from 'node:util';
import { openDatabase } from '../src/db/database.ts';
import type { Session } from '../src/db/types.ts';
import { createNotifyTriggerSql, dropNotifyTriggerSql, notifyChannel } from '../src/sql/notify-trigger.ts';

const { values } = parseArgs({
  options: {
    writers: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
  },
});
const WRITERS = Number(values.writers);
const ROWS_EACH = 100;
const target = { schema: 'public', table: 'reembed_bench_notify', stateSchema: 'public' };
const id = 'bench';

const db = openDatabase({ connectionString: process.env.DATABASE_URL ?? '', embedded: false });
await db.query(`DROP TABLE IF EXISTS ${target.table}; CREATE TABLE ${target.table} (id int PRIMARY KEY, text text)`);
await db.query(`INSERT INTO ${target.table} SELECT i, 'text' FROM generate_series(1, ${WRITERS * ROWS_EACH}) i`);
const writers = await Promise.all(Array.from({ length: WRITERS }, () => db.openSession()));
// The trigger is silent for reembed's own sessions.
for (const writer of writers) await writer.query(`SET application_name = 'app'; SET statement_timeout = 0`);

async function write(writer: Session, place: number, until: number): Promise<number> {
  let commits = 0;
  for (; performance.now() < until; commits++) {
    const row = place * ROWS_EACH + 1 + (commits % ROWS_EACH);
    await writer.query(`UPDATE ${target.table} SET text = 'text ' || $1 WHERE id = $2`, [commits, row]);
  }
  return commits;
}

/** Commits a second of all writers together. */
async function measure(seconds: number): Promise<number> {
  const until = performance.now() + seconds * 1000;
  const commits = await Promise.all(writers.map((writer, place) => write(writer, place, until)));
  return commits.reduce((sum, each) => sum + each, 0) / seconds;
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;

const listener = await db.openSession();
let heard = 0;
await listener.listen(notifyChannel(id), { onNotify: () => heard++, onLost: () => undefined });
const [without, withNotify]: [number[], number[]] = [[], []];
await measure(1);
for (let round = 0; round < Number(values.rounds); round++) {
  without.push(await measure(Number(values.seconds)));
  for (const statement of createNotifyTriggerSql(target, id)) await db.query(statement);
  withNotify.push(await measure(Number(values.seconds)));
  for (const statement of dropNotifyTriggerSql(target, id)) await db.query(statement);
}
const ratios = without.map((each, i) => (withNotify[i] ?? 0) / each);
process.stdout.write(
  `${JSON.stringify({ writers: WRITERS, without: Math.round(median(without)), withNotify: Math.round(median(withNotify)), ratio: Number(median(ratios).toFixed(3)), ratios: ratios.map((r) => Number(r.toFixed(3))), heard })}\n`,
);
await db.query(`DROP TABLE ${target.table}`);
await Promise.all([...writers, listener].map((session) => session.close()));
await db.close();
