import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defineMigration } from '../../src/config/define-migration.ts';
import type { MigrationDefinition } from '../../src/config/types.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { vectorLiteral } from '../../src/search/vector-literal.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const ROWS = 40;
/** The text of the fourth article. */
const KNOWN = 'article 3 about subject 21 of 9';
const MIGRATION = {
  id: 'articles-hash',
  table: 'articles',
  text: 'body',
  column: 'embedding',
  from: { model: 'hash/64', dimensions: 64 },
  model: 'hash/384',
  dimensions: 384,
  index: { kind: 'hnsw' },
} as const;

/** What each example exports. */
interface Example {
  startServer(options: {
    readonly connectionString: string;
    readonly port: number;
    readonly definition: MigrationDefinition;
  }): Promise<Server>;
}

interface Server {
  readonly url: string;
  close(): Promise<void>;
}

interface Found {
  readonly served: string;
  readonly hits: readonly { readonly id: string; readonly text: string; readonly score: number }[];
}

/** No two texts of the tests are the same. */
let written = 0;

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

/** `articles` with the vectors of the old model. */
beforeEach(async () => {
  const { db } = chain;
  await db.query('DROP TABLE IF EXISTS articles CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE');
  await db.query('CREATE TABLE articles (id bigserial PRIMARY KEY, body text NOT NULL, embedding vector(64))');
  const bodies = Array.from({ length: ROWS }, (_, i) => `article ${i} about subject ${(i * 7) % ROWS} of ${i * i}`);
  const { vectors } = await hashProvider('hash/64').embed(bodies, { kind: 'document' });
  await db.query('INSERT INTO articles (body, embedding) SELECT * FROM unnest($1::text[], $2::text[]::vector[])', [
    bodies,
    vectors.map(vectorLiteral),
  ]);
});

async function start(name: string): Promise<Server> {
  const example: Example = await import(`../../examples/${name}/server.js`);
  return example.startServer({ connectionString: chain.database.url, port: 0, definition: defineMigration(MIGRATION) });
}

async function search({ url }: Server, question: string): Promise<Found> {
  const response = await fetch(`${url}/search?q=${encodeURIComponent(question)}`);
  expect(response.status, await response.clone().text()).toBe(200);
  return (await response.json()) as Found;
}

async function add({ url }: Server, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${url}/articles`, { method: 'POST', headers, body: JSON.stringify({ body }) });
}

/** Requests one behind the other until `work` is done: each is answered, readers find what is there, writers write. */
async function whileAsked(
  server: Server,
  work: () => Promise<unknown>,
  { findsWritten }: { readonly findsWritten: boolean },
): Promise<void> {
  let isDone = false;
  const asking = (async () => {
    while (!isDone) {
      const body = `written in the meantime as number ${written++}`;
      const added = await add(server, body);
      const answer = await added.text();
      expect(added.status, answer).toBe(201);
      expect((await search(server, KNOWN)).hits[0]?.id).toBe('4');
      // Also one that the swap came between, and that has no new vector yet.
      if (findsWritten) expect((await search(server, body)).hits[0]).toMatchObject(JSON.parse(answer));
      await setTimeout(20);
    }
  })();
  const [worked, asked] = await Promise.allSettled([
    work().finally(() => {
      isDone = true;
    }),
    asking,
  ]);
  if (worked.status === 'rejected') throw worked.reason;
  if (asked.status === 'rejected') throw asked.reason;
}

describe.each(['express', 'fastify'])('the %s example', (name) => {
  it('answers readers and writers before, during and after the swap, and back', async () => {
    const server = await start(name);
    const ctx = chain.context(MIGRATION);
    expect(await search(server, KNOWN)).toMatchObject({
      served: 'old',
      hits: [{ id: '4' }, ...Array.from({ length: 9 }, () => ({ score: expect.any(Number) }))],
    });
    const migrate = async (): Promise<void> => {
      await expand(ctx);
      await fill(ctx);
      await cutOver(ctx);
    };
    await whileAsked(server, migrate, { findsWritten: true });
    expect(await search(server, KNOWN)).toMatchObject({
      served: 'new',
      hits: [{ id: '4' }, ...Array(9).fill({})],
    });
    await whileAsked(server, () => undoCutOver(ctx), { findsWritten: false });
    expect((await search(server, KNOWN)).served).toBe('old');
    await server.close();
  });

  it('says what is wrong with a request, and ends only when what it was asked is answered', async () => {
    const server = await start(name);
    expect((await fetch(`${server.url}/search`)).status).toBe(400);
    expect((await fetch(`${server.url}/search?q=%20`)).status).toBe(400);
    expect((await add(server, undefined)).status).toBe(400);
    expect((await add(server, ' ')).status).toBe(400);
    expect(await chain.db.query('SELECT id FROM articles')).toHaveProperty('rows.length', ROWS);
    const asked = Array.from({ length: 5 }, () => search(server, KNOWN));
    await Promise.race(asked);
    await server.close();
    for (const { hits } of await Promise.all(asked)) expect(hits[0]?.id).toBe('4');
    await expect(fetch(`${server.url}/search?q=x`)).rejects.toThrow('fetch failed');
  });
});
