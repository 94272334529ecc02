import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { countCached } from '../../src/providers/vector-cache/count-cached.ts';
import { searchTable } from '../../src/search/search.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { planMigration } from '../../src/steps/plan-migration.ts';
import { lazyProvider } from '../../src/steps/provider.ts';
import { type Chain, insertSegments, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';
import { type ScriptedServer, startScriptedServer } from '../helpers/scripted-server.ts';
import type { Step } from '../helpers/scripted-steps.ts';

const ROWS = 160;
const DIMENSIONS = 24;
const KEY = 'sk-scripted-0123456789';
const MODEL = 'BAAI/bge-small-en-v1.5';

let chain: Chain;
let server: ScriptedServer;
let cacheDir: string;

beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());
beforeEach(async () => {
  server = await startScriptedServer({ dimensions: DIMENSIONS, key: KEY });
  cacheDir = await mkdtemp(join(tmpdir(), 'reembed-remote-chain-'));
  await chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments');
  await makeSegments(chain.db, { rows: ROWS });
});
afterEach(async () => {
  await server.close();
  await rm(cacheDir, { recursive: true, force: true });
});

interface Wanted {
  readonly env?: Readonly<Record<string, string>>;
  readonly provider?: 'openai' | 'tei';
  readonly batchRows?: number;
}

function contextOf({ env = {}, provider = 'openai', batchRows = 20 }: Wanted = {}) {
  const { remote } = loadRuntimeSettings({
    EMBEDDING_BASE_URL: server.urls[provider],
    EMBEDDING_API_KEY: KEY,
    EMBEDDING_REQUEST_TIMEOUT: '5s',
    ...env,
  });
  const migration = { id: 'remote', provider, model: MODEL, dimensions: DIMENSIONS };
  return chain.context(migration, { batchRows, cacheDir, remote });
}

const truth = { provider: hashProvider(`hash/${DIMENSIONS}`), minCosine: 0.9999 };

/** Texts that the server was asked for and answered rightly, the fixed ones apart. */
function paidTexts(): string[] {
  return server.embedded().flatMap(({ texts }) => texts.filter((text) => text.startsWith('passage')));
}

/** Everything that the state holds, as text. */
async function stateText(): Promise<string> {
  const { rows } = await chain.db.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'reembed'::regnamespace AND relkind = 'r'`,
  );
  const texts = rows.map(({ name }) => chain.db.query(`SELECT t::text AS text FROM reembed.${name} t`));
  return JSON.stringify((await Promise.all(texts)).map((result) => result.rows));
}

it('005 to 007 by a service that fails in every way: each row has its own text’s vector, and the key is nowhere', async () => {
  const failures: readonly Step[] = [
    { kind: 'status', status: 429, headers: { 'retry-after-ms': '3' }, body: 'slower, {key}' },
    { kind: 'misordered' },
    { kind: 'status', status: 500, body: 'no luck with {key}' },
    { kind: 'cut' },
    { kind: 'reset' },
  ];
  let request = 0;
  server.rule = () => (request++ % 3 === 1 ? failures[Math.floor(request / 3) % failures.length] : undefined);
  const contexts = [contextOf(), contextOf({ batchRows: 10 }), contextOf()] as const;
  const results = [await expand(contexts[0]), await fill(contexts[1]), await cutOver(contexts[2])];
  expect(request).toBeGreaterThan(failures.length * 3);
  expect(await wrongVectors(chain.db, SEGMENTS, 'embedding', truth)).toEqual([]);

  server.rule = undefined;
  const provider = lazyProvider(contextOf(), contextOf().definition);
  const before = paidTexts().length;
  const report = await verify(contextOf(), { full: true, provider: () => provider.get() });
  await provider.close();
  expect(report.ok).toBe(true);
  // What is verified was asked for again, not read back from the cache.
  expect(paidTexts().length - before).toBe(ROWS);

  const status = await readStatus(contextOf());
  expect(status.spent?.requests).toBeGreaterThan(ROWS / 64);
  expect(status.spent).toMatchObject({ usd: 0, unpricedTokens: status.spent?.tokens });
  const printed = JSON.stringify([results, contexts.map(({ events }) => events), report, status]);
  expect(printed + (await stateText())).not.toContain(KEY);
  server.script({ kind: 'status', status: 401, body: 'wrong: {key}' });
  await chain.db.query(`INSERT INTO segments (text) VALUES ('passage of tomorrow')`);
  const refused = await fill(contextOf()).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'key_refused' });
  expect(JSON.stringify([refused, (await readStatus(contextOf())).lastEvents, String(refused)])).not.toContain(KEY);
}, 60_000);

it('a budget stops 006, says so, and a higher one finishes it: no text is paid for twice', async () => {
  const priced = (budget: string) => contextOf({ env: { EMBEDDING_PRICE: '100', REEMBED_BUDGET_USD: budget } });
  await expand(contextOf());
  await expect(fill(priced('0.15'))).rejects.toMatchObject({
    name: 'InterruptedError',
    code: 'budget_reached',
    message: expect.stringMatching(/^\$0\.[\d]+ of REEMBED_BUDGET_USD=0\.15 are spent, .* openai BAAI/),
  });
  const { spent, rows } = await readStatus(contextOf());
  expect(spent?.usd).toBeLessThanOrEqual(0.15);
  expect(rows.done).toBeGreaterThan(0);
  expect(rows.pending).toBeGreaterThan(0);
  await expect(fill(priced('0.15'))).rejects.toMatchObject({ code: 'budget_reached' });

  expect(await fill(priced('5'))).toMatchObject({ rows: { done: ROWS, pending: 0 } });
  const paid = paidTexts();
  expect(paid).toHaveLength(ROWS);
  expect(new Set(paid).size).toBe(ROWS);
  const after = (await readStatus(contextOf())).spent;
  expect(after?.requests).toBe(server.embedded().length);
  expect(after?.usd).toBeGreaterThan(spent?.usd ?? 0);
  expect(await wrongVectors(chain.db, SEGMENTS, `embedding_${DIMENSIONS}`, truth)).toEqual([]);
  const { rows: texts } = await chain.db.query<{ text: string }>('SELECT text FROM segments');
  const reference = { provider: 'openai', model: MODEL, dimensions: DIMENSIONS } as const;
  expect(
    await countCached(
      cacheDir,
      reference,
      texts.map(({ text }) => text),
    ),
  ).toBe(ROWS);
});

it('answers that were paid for and could not be written cost nothing the second time', async () => {
  await expand(contextOf());
  await chain.db.query(
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
     CREATE TRIGGER refuse BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION refuse()`,
  );
  await expect(fill(contextOf())).rejects.toThrow();
  expect(paidTexts().length).toBeGreaterThan(0);
  // The plan knows what is kept, and asks nobody.
  const { texts } = await planMigration(contextOf());
  expect(texts?.cachedShare).toBeCloseTo(paidTexts().length / ROWS);
  await chain.db.query('DROP FUNCTION refuse CASCADE');
  expect(await fill(contextOf())).toMatchObject({ rows: { done: ROWS, pending: 0 } });
  expect(paidTexts()).toHaveLength(ROWS);
});

it('a model that is exchanged behind its name stops 006, and 007 does not swap what it made', async () => {
  await expand(contextOf());
  const env = { REEMBED_CANARY_BATCHES: '2' };
  server.rule = () => {
    if (paidTexts().length > ROWS / 2) server.model = 'another';
    return undefined;
  };
  await expect(fill(contextOf({ env }))).rejects.toMatchObject({ name: 'IntegrityError', code: 'model_changed' });
  await expect(cutOver(contextOf({ env }))).rejects.toMatchObject({ code: 'model_changed' });
  server.rule = undefined;
  server.model = '';
  await fill(contextOf({ env }));
  await cutOver(contextOf({ env }));
  expect(await wrongVectors(chain.db, SEGMENTS, 'embedding', truth)).toEqual([]);
});

describe('a TEI server that says which model it runs', () => {
  const info = (sha: string): Step => ({
    kind: 'status',
    status: 200,
    body: { model_id: MODEL, model_sha: sha, model_dtype: 'float32', model_type: { embedding: { pooling: 'cls' } } },
  });

  it('is refused with both named when it runs another revision, by 006 and by a search', async () => {
    const context = () => contextOf({ provider: 'tei' });
    const named = (sha: string) => `tei ${MODEL} (24 dimensions, revision ${sha}, fp32, cls pooling)`;
    const differs = (between: string) => ({
      name: 'ModelError',
      code: 'model_differs',
      message: expect.stringContaining(`${named('aaa')}, ${between} ${named('bbb')}: revision is bbb, was aaa.`),
    });
    await expand(context());
    server.scriptInfo(info('aaa'));
    await fill(context());
    await insertSegments(chain.db, 5, 16);
    server.scriptInfo(info('bbb'));
    await expect(fill(context())).rejects.toMatchObject(differs('the configuration now makes those of'));
    expect((await readStatus(context())).rows).toMatchObject({ done: ROWS, pending: 5 });

    server.scriptInfo(info('bbb'));
    const provider = lazyProvider(context(), context().definition);
    const options = { query: 'passage', side: 'new', providers: { new: () => provider.get() } } as const;
    await expect(searchTable(context(), options)).rejects.toMatchObject(differs('the text would be embedded by'));
    await provider.close();
  });
});
