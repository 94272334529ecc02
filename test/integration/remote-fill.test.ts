import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain, staleKeys } from '../helpers/chain.ts';
import { type ScriptedServer, startScriptedServer } from '../helpers/scripted-server.ts';
import type { Step } from '../helpers/scripted-steps.ts';

const ROWS = 240;
const DIMENSIONS = 24;
const KEY = 'sk-scripted-0123456789';

let chain: Chain;
let server: ScriptedServer;

beforeAll(async () => {
  chain = await openChain();
  server = await startScriptedServer({ dimensions: DIMENSIONS, key: KEY });
  await makeSegments(chain.db, { rows: ROWS });
});
afterAll(async () => {
  await chain.close();
  await server.close();
});

const context = (env: Readonly<Record<string, string>> = {}) =>
  chain.context(
    { id: 'remote', provider: 'openai', model: 'own-model', dimensions: DIMENSIONS },
    {
      batchRows: 40,
      maxQuarantined: 2,
      remote: loadRuntimeSettings({
        EMBEDDING_BASE_URL: server.urls.openai,
        OPENAI_API_KEY: KEY,
        EMBEDDING_REQUEST_TIMEOUT: '5s',
        REEMBED_VECTOR_CACHE: 'off',
        REEMBED_CANARY_BATCHES: '0',
        ...env,
      }).remote,
    },
  );

const missing = async () => {
  const { rows } = await chain.db.query<{ id: string }>(
    `SELECT id::text AS id FROM segments WHERE embedding_${DIMENSIONS} IS NULL ORDER BY segments.id`,
  );
  return rows.map(({ id }) => id);
};

it('a wrong key ends the fill with its name, and no row is blamed', async () => {
  await expand(context());
  await expect(fill(context({ OPENAI_API_KEY: 'sk-wrong' }))).rejects.toMatchObject({ code: 'key_refused' });
  // No search for a bad text: none was asked for twice.
  const asked = server.requests.flatMap(({ texts }) => texts);
  expect(new Set(asked).size).toBe(asked.length);
  expect(await missing()).toHaveLength(ROWS);
});

it('a bad night loses no row: what failed is asked again, every vector is its own text’s, bad texts are named', async () => {
  const storm: Step[] = [
    { kind: 'status', status: 429, headers: { 'retry-after-ms': '3' } },
    { kind: 'cut' },
    { kind: 'misordered' },
    { kind: 'status', status: 500 },
    { kind: 'malformed' },
    { kind: 'reset' },
    { kind: 'status', status: 503, headers: { 'retry-after-ms': '3' } },
    { kind: 'status', status: 413 },
  ];
  // By what was asked, not by turns: requests run side by side, and a turn could answer for a bad text.
  server.rule = ({ texts }) => {
    if (texts.some((text) => text.endsWith('item 77'))) return { kind: 'status', status: 400, body: { error: 'no' } };
    // Asked where the first answer of all refused a text; a storm there would tell that the service refuses every one.
    if (texts[0] === 'ok') return undefined;
    const zero = texts.findIndex((text) => text.endsWith('item 111'));
    return zero < 0 ? storm.shift() : { kind: 'zero', at: zero };
  };
  const { rows } = await fill(context());
  expect(rows).toMatchObject({ total: ROWS, done: ROWS - 2, quarantined: 2 });
  expect(storm).toEqual([]);
  expect(await missing()).toEqual(['77', '111']);
  const stale = await staleKeys(chain.db, `embedding_${DIMENSIONS}`, 'segments', `hash/${DIMENSIONS}`);
  expect(new Set(stale)).toEqual(new Set(['77', '111']));
});
