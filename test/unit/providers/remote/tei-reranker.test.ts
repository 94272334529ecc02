import { describe, expect, onTestFinished, test } from 'vitest';
import { loadRuntimeSettings } from '../../../../src/config/runtime.ts';
import { openReranker } from '../../../../src/providers/open-reranker.ts';
import type { Reranker } from '../../../../src/providers/reranker.ts';
import { rerankerSettings } from '../../../../src/providers/reranker-settings.ts';
import { hashVectors } from '../../../helpers/scripted-protocols.ts';
import type { ScriptedServer } from '../../../helpers/scripted-server.ts';
import type { Step } from '../../../helpers/scripted-steps.ts';
import { busy, failureOf, scripted, status } from './remote-bed.ts';

const INFO = {
  model_id: 'BAAI/bge-reranker-base',
  model_type: { reranker: { id2label: { 0: 'LABEL_0' }, label2id: { LABEL_0: 0 } } },
  max_client_batch_size: 4,
};
const TEXTS = ['the first text', 'a second one', 'and the third', 'one more', 'a fifth', 'the last of them'];

/** The reranker as the environment makes it, asking `server`. */
async function openAt(server: ScriptedServer, env: Readonly<Record<string, string>> = {}): Promise<Reranker> {
  const runtime = loadRuntimeSettings({
    RERANK_PROVIDER: 'tei',
    RERANK_BASE_URL: server.urls.tei,
    EMBEDDING_REQUEST_TIMEOUT: '5s',
    EMBEDDING_DEADLINE: '20s',
    ...env,
  });
  const reranker = await openReranker(rerankerSettings(runtime));
  onTestFinished(() => reranker.close());
  return reranker;
}

/** What the scripted server's model thinks of the texts. */
async function scoresOf(texts: readonly string[]): Promise<Float32Array> {
  return Float32Array.from(await hashVectors(texts, 8), (vector) => vector[0] ?? Number.NaN);
}

describe("TEI's /rerank", () => {
  test('scores come in the order of the texts, whatever order the server gives them in, in requests of its size', async () => {
    const server = await scripted({ info: INFO });
    const reranker = await openAt(server, { RERANK_MODEL: 'only-a-name' });
    expect(await reranker.score('which one?', TEXTS)).toEqual(await scoresOf(TEXTS));
    expect(server.embedded().map(({ path, body }) => [path, body])).toEqual([
      ['/rerank', { query: 'which one?', texts: TEXTS.slice(0, 4), raw_scores: true, truncate: true }],
      ['/rerank', { query: 'which one?', texts: TEXTS.slice(4), raw_scores: true, truncate: true }],
    ]);
    expect(reranker.model).toMatchObject({ provider: 'tei', name: 'BAAI/bge-reranker-base', dtype: 'fp16' });
    expect(await reranker.score('nothing to read', [])).toEqual(new Float32Array());
  });

  test('RERANK_BATCH_SIZE makes smaller requests, and one that is still too large is halved', async () => {
    const server = await scripted({ info: { ...INFO, max_client_batch_size: 32 } });
    const reranker = await openAt(server, { RERANK_BATCH_SIZE: '3' });
    server.rule = ({ texts }) => (texts.length > 2 ? status(413) : undefined);
    expect(await reranker.score('which one?', TEXTS)).toEqual(await scoresOf(TEXTS));
    expect(Math.max(...server.embedded().map(({ texts }) => texts.length))).toBe(3);
  });

  test('a busy server, one that breaks off and one that fails are asked again', async () => {
    const server = await scripted({ info: { ...INFO, max_client_batch_size: 32 } });
    const reranker = await openAt(server, { REEMBED_MAX_RETRIES: '4', EMBEDDING_REQUEST_TIMEOUT: '1s' });
    server.script(busy, { kind: 'cut' }, status(424, { error: 'a worker is gone' }));
    expect(await reranker.score('which one?', TEXTS)).toEqual(await scoresOf(TEXTS));
    expect(server.embedded()).toHaveLength(4);
  });

  const wrong: readonly (readonly [Step['kind'], string, RegExp])[] = [
    ['too-few', 'wrong_cardinality', /answered 3 scores for 4 texts/],
    ['too-many', 'wrong_cardinality', /answered 5 scores for 4 texts/],
    ['duplicated', 'wrong_cardinality', /answered two scores with index 0 for 4 texts/],
    ['misnumbered', 'wrong_cardinality', /answered a score with index 4 for 4 texts/],
    ['unnumbered', 'wrong_cardinality', /answered a score with index none for 4 texts/],
    ['nan', 'score_not_finite', /answered null \(NaN in JSON\) as the score of text 0/],
  ];
  test.each(wrong)('an answer that is %s is refused whole', async (kind, code, message) => {
    const server = await scripted({ info: INFO });
    const reranker = await openAt(server);
    server.script({ kind } as Step);
    const failure = await failureOf(reranker.score('which one?', TEXTS.slice(0, 4)));
    expect(failure).toMatchObject({ code, message: expect.stringMatching(message), scope: 'service' });
    expect(failure.hint).toContain('RERANK_BASE_URL');
  });

  test('a server of another kind is refused by what it serves', async () => {
    await expect(openAt(await scripted())).rejects.toMatchObject({
      code: 'model_differs',
      message: expect.stringMatching(/ serves BAAI\/bge-small-en-v1\.5, which is no reranker\.$/),
    });
  });

  test('errors name the variables of the reranker', async () => {
    await expect(openReranker(rerankerSettings(loadRuntimeSettings({ RERANK_PROVIDER: 'tei' })))).rejects.toMatchObject(
      {
        code: 'base_url_missing',
        message: 'RERANK_BASE_URL is not set, expected the URL of your TEI server.',
      },
    );
    const env = { RERANK_PROVIDER: 'tei', RERANK_BASE_URL: 'http://reranker.example' };
    await expect(openReranker(rerankerSettings(loadRuntimeSettings(env)))).rejects.toMatchObject({
      code: 'http_refused',
      hint: expect.stringContaining('RERANK_BASE_URL'),
    });
  });

  test('the key of the service that embeds stays there; that of Hugging Face is sent', async () => {
    const server = await scripted({ info: INFO, key: 'hf_scripted' });
    const keys = { EMBEDDING_API_KEY: 'sk-for-another-service', HUGGINGFACE_TOKEN: 'hf_scripted' };
    await (await openAt(server, keys)).score('which one?', TEXTS);
    expect(new Set(server.requests.map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer hf_scripted']),
    );
  });

  test('what is in flight ends with the signal, or when the reranker is closed', async () => {
    const server = await scripted({ info: INFO });
    const reranker = await openAt(server);
    server.rule = () => ({ kind: 'silent' });
    const stop = new AbortController();
    const scoring = failureOf(reranker.score('which one?', TEXTS, { signal: stop.signal }));
    stop.abort(new Error('enough'));
    expect(await scoring).toMatchObject({ message: 'enough' });
    const closing = failureOf(reranker.score('which one?', TEXTS));
    await reranker.close();
    expect(await closing).toMatchObject({ code: 'provider_closed' });
  });
});
