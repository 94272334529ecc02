import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { listEvents } from '../../src/inspect/list-events.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, makeSegments, openChain, staleKeys } from '../helpers/chain.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

/** Lets everything through but the answer to the COMMIT after a renaming: once for each way of the exchange. */
async function swallowCommits(to: URL): Promise<{ server: Server; port: number; swallowed: () => number }> {
  const { port, hostname } = to;
  let swallowed = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let renames = false;
    let cut = false;
    client.on('data', (bytes) => {
      renames ||= bytes.includes('RENAME COLUMN');
      cut ||= renames && bytes.includes('COMMIT') && swallowed < 2;
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!cut) return void client.write(bytes);
      swallowed++;
      client.destroy();
      upstream.destroy();
    });
    client.on('error', () => undefined).on('close', () => upstream.destroy());
    upstream.on('error', () => undefined).on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { server, port: typeof address === 'object' ? (address?.port ?? 0) : 0, swallowed: () => swallowed };
}

test('an exchange whose COMMIT is answered to nobody is read back and done once, its views included, and so is the way back (a server)', async ({
  skip,
}) => {
  if (chain.db.embedded) skip('the embedded database is not behind TCP');
  await makeSegments(chain.db, { rows: 60 });
  await chain.db.query('CREATE VIEW shown AS SELECT id, embedding FROM segments');
  const ctx = chain.context({ recreateViews: true });
  for (const step of [expand, fill]) await step(ctx);
  const url = new URL(chain.database.url);
  const proxy = await swallowCommits(url);
  url.port = String(proxy.port);
  const db = openDatabase({ connectionString: url.href, embedded: false });
  const dimensions = async (): Promise<unknown> =>
    (await chain.db.query('SELECT DISTINCT vector_dims(embedding) AS n FROM shown')).rows;
  try {
    await cutOver({ ...ctx, db });
    expect(proxy.swallowed()).toBe(1);
    expect(await staleKeys(chain.db, 'embedding')).toEqual([]);
    expect(await dimensions()).toEqual([{ n: 384 }]);
    await undoCutOver({ ...ctx, db });
    expect(proxy.swallowed()).toBe(2);
    expect(await dimensions()).toEqual([{ n: 16 }]);
    expect((await resolveMigration(ctx)).record).toMatchObject({ active: 'old', phase: 'backfilled' });
    const events = (await listEvents(chain.db, ctx.runtime.stateSchema, ctx.definition.id, 20)).map(({ kind }) => kind);
    expect(events.filter((kind) => kind === 'swapped' || kind === 'undone').sort()).toEqual(['swapped', 'undone']);
  } finally {
    await db.close();
    proxy.server.close();
  }
});
