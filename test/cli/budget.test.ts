import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { expand } from '../../src/steps/expand.ts';
import { makeSegments, openChain } from '../helpers/chain.ts';
import { startScriptedServer } from '../helpers/scripted-server.ts';
import { runCli } from './run-cli.ts';

it('a budget ends "reembed backfill" with 130 and both figures, and status shows what was spent', async () => {
  const chain = await openChain();
  onTestFinished(() => chain.close());
  const server = await startScriptedServer({ dimensions: 8 });
  onTestFinished(() => server.close());
  const cwd = await mkdtemp(join(tmpdir(), 'reembed-budget-'));
  onTestFinished(() => rm(cwd, { recursive: true, force: true }));
  const migration = { id: 'paid', provider: 'openai', model: 'own-model', dimensions: 8 } as const;
  await writeFile(
    join(cwd, 'reembed.config.mjs'),
    `export default ${JSON.stringify({ ...migration, table: 'segments', text: 'text', column: 'embedding' })};`,
  );
  await makeSegments(chain.db, { rows: 60 });
  await expand(chain.context(migration));
  const env = {
    DATABASE_URL: chain.database.url,
    EMBEDDING_BASE_URL: server.urls.openai,
    EMBEDDING_API_KEY: 'sk-scripted',
    EMBEDDING_PRICE: '1000',
    REEMBED_BUDGET_USD: '0.5',
    REEMBED_BATCH_ROWS: '10',
    REEMBED_CACHE_DIR: join(cwd, 'cache'),
  };
  const stopped = await runCli(['backfill'], { cwd, env });
  expect(stopped).toMatchObject({ code: 130, stdout: '' });
  expect(stopped.stderr).toMatch(
    /reembed: \$0\.\d+ of REEMBED_BUDGET_USD=0\.5 are spent, the next request to openai own-model/,
  );
  expect(stopped.stderr).toMatch(
    /\nRaise REEMBED_BUDGET_USD \(or correct EMBEDDING_PRICE\) and run the same command again/,
  );
  const status = await runCli(['status'], { cwd, env });
  expect(status.stdout).toMatch(/\nSpent +\d+ requests?, \d+ tokens, \$0\.\d+\n/);
}, 60_000);
