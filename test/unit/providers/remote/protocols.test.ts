import { describe, expect, test } from 'vitest';
import { countTokens, hashVectors } from '../../../helpers/scripted-protocols.ts';
import { openAt, scripted, TEXTS } from './remote-bed.ts';

const PROVIDERS = ['openai', 'tei', 'huggingface', 'gemini'] as const;
const DOCUMENT = { kind: 'document' } as const;

describe.each(PROVIDERS)('%s', (name) => {
  test('gives every text its own vector, in order', async () => {
    const server = await scripted();
    const provider = await openAt(server, name);
    const { vectors } = await provider.embed(TEXTS, DOCUMENT);
    expect(vectors.map((vector) => [...vector].map((value) => value.toFixed(5)))).toEqual(
      (await hashVectors(TEXTS, 8)).map((vector) => [...vector].map((value) => value.toFixed(5))),
    );
  });

  test('is the same model wherever its server is', async () => {
    const [here, there] = [await openAt(await scripted(), name), await openAt(await scripted(), name)];
    expect(here.model).toEqual(there.model);
    expect(here.model).toMatchObject({ provider: name, dimensions: 8, files: {} });
  });

  test('asks nothing for no texts', async () => {
    const server = await scripted();
    const provider = await openAt(server, name);
    expect(await provider.embed([], DOCUMENT)).toEqual({ vectors: [], tokens: 0, truncated: 0 });
    expect(server.embedded()).toEqual([]);
  });

  test('sends the key in a header and nowhere else', async () => {
    const server = await scripted({ key: 'k-1' });
    const provider = await openAt(server, name, { env: { EMBEDDING_API_KEY: 'k-1' } });
    await provider.embed(['a'], DOCUMENT);
    for (const { path, body } of server.requests) expect(`${path}${JSON.stringify(body)}`).not.toContain('k-1');
    const [request] = server.embedded();
    expect(request?.headers[name === 'gemini' ? 'x-goog-api-key' : 'authorization']).toContain('k-1');
    expect(request?.headers[name === 'gemini' ? 'authorization' : 'x-goog-api-key']).toBeUndefined();
  });
});

test('openai: the whole URL of the method is taken for its root', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai', { env: { EMBEDDING_BASE_URL: `${server.urls.openai}/embeddings` } });
  await provider.embed(['a'], DOCUMENT);
  expect(server.requests[0]?.path).toBe('/v1/embeddings');
});

test('openai: base64 is asked for, and floats from then on where a server refuses it', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai', { batchSize: 1, maxRetries: 1 });
  server.rule = ({ body }) =>
    body?.encoding_format === 'base64'
      ? { kind: 'status', status: 400, body: { error: { message: "Unsupported value for 'encoding_format'." } } }
      : undefined;
  expect((await provider.embed(TEXTS, DOCUMENT)).vectors).toEqual(await hashVectors(TEXTS, 8));
  const before = server.requests.length;
  await provider.embed(TEXTS, DOCUMENT);
  expect(server.requests.slice(before).map(({ body }) => body?.encoding_format)).toEqual(Array(4).fill('float'));
});

test('openai: results are placed by their index, whatever their order', async () => {
  const server = await scripted();
  server.script({ kind: 'misordered' });
  const { vectors } = await (await openAt(server, 'openai')).embed(TEXTS, DOCUMENT);
  expect(vectors).toEqual(await hashVectors(TEXTS, 8));
});

test('openai: dimensions are asked for where the model can be cut, and only there', async () => {
  const server = await scripted();
  const asked = async (model: string, dimensions: number, env = {}) => {
    const provider = await openAt(server, 'openai', { model, dimensions, env });
    server.script({ kind: 'dimensions', dimensions });
    await provider.embed(['a'], DOCUMENT);
    return server.requests.at(-1)?.body?.dimensions;
  };
  expect(await asked('text-embedding-3-small', 512)).toBe(512);
  expect(await asked('text-embedding-3-small', 1536)).toBeUndefined();
  expect(await asked('text-embedding-ada-002', 1536)).toBeUndefined();
  expect(await asked('nomic-embed-text:v1.5', 256)).toBe(256);
  expect(await asked('own-model', 256)).toBeUndefined();
  expect(await asked('own-model', 256, { EMBEDDING_SEND_DIMENSIONS: '1' })).toBe(256);
});

test('tei: limits, model and precision are those that the server tells', async () => {
  const server = await scripted({ info: { max_client_batch_size: 3, max_batch_tokens: 1000 } });
  const provider = await openAt(server, 'tei');
  const { tokens } = await provider.embed([...TEXTS, 'x '.repeat(2400)], DOCUMENT);
  expect(server.embedded().map(({ texts }) => texts.length)).toEqual([3, 2]);
  expect(tokens).toBe(countTokens(server.embedded().flatMap(({ texts }) => texts)));
  expect(provider.maxTokens).toBe(512);
  expect(provider.model).toEqual({
    provider: 'tei',
    name: 'BAAI/bge-small-en-v1.5',
    revision: '5c38ec7c405ec4b44b94cc5a9bb96e735b38267a',
    dimensions: 8,
    dtype: 'fp16',
    pooling: 'cls',
    normalize: true,
    prefixes: { document: '', query: 'Represent this sentence for searching relevant passages: ' },
    files: {},
  });
});

test('tei: another model behind the URL, another revision and a server of another kind are refused', async () => {
  const other = await scripted({ info: { model_id: 'intfloat/e5-base-v2' } });
  await expect(openAt(other, 'tei')).rejects.toMatchObject({
    code: 'model_differs',
    message: `${other.urls.tei}/info serves intfloat/e5-base-v2, the configuration asks for BAAI/bge-small-en-v1.5.`,
  });
  const reranker = await scripted({ info: { model_type: { reranker: {} } } });
  await expect(openAt(reranker, 'tei')).rejects.toMatchObject({ code: 'model_differs' });
  const stranger = await scripted({ info: { model_id: undefined } });
  await expect(openAt(stranger, 'tei')).rejects.toMatchObject({ code: 'server_unknown' });
  await expect(openAt(await scripted(), 'tei', { revision: 'abc' })).rejects.toMatchObject({
    code: 'revision_differs',
  });
});

test('the prefixes of a known model are put before its texts', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'huggingface', { model: 'intfloat/e5-small-v2' });
  await provider.embed(['a'], DOCUMENT);
  await provider.embed(['b'], { kind: 'query' });
  expect(server.requests.map(({ texts }) => texts)).toEqual([['passage: a'], ['query: b']]);
  expect(provider.model.prefixes).toEqual({ document: 'passage: ', query: 'query: ' });
});

test('gemini: task, dimensions and at most 100 texts a request; what is cut is scaled to length 1', async () => {
  const server = await scripted();
  server.rule = () => ({ kind: 'long', factor: 3 });
  const provider = await openAt(server, 'gemini', { model: 'gemini-embedding-001' });
  const texts = Array.from({ length: 150 }, (_, i) => `text ${i}`);
  const { vectors } = await provider.embed(texts, DOCUMENT);
  await provider.embed(['a'], { kind: 'query' });
  expect(server.requests.map((request) => request.texts.length)).toEqual([100, 50, 1]);
  expect(server.requests.at(-1)).toMatchObject({
    path: '/v1beta/models/gemini-embedding-001:batchEmbedContents',
    body: {
      requests: [{ model: 'models/gemini-embedding-001', taskType: 'RETRIEVAL_QUERY', outputDimensionality: 8 }],
    },
  });
  for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
  expect(provider.model.prefixes.document).toBe('task: RETRIEVAL_DOCUMENT');
});

test('gemini: a model that knows no task types is told the task by a prefix', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'gemini', { model: 'models/gemini-embedding-2' });
  await provider.embed(['a'], DOCUMENT);
  await provider.embed(['b'], { kind: 'query' });
  expect(server.requests.map(({ body }) => body?.requests)).toEqual(
    ['title: none | text: a', 'task: search result | query: b'].map((text) => [
      { model: 'models/gemini-embedding-2', content: { parts: [{ text }] }, outputDimensionality: 8 },
    ]),
  );
  expect(provider.model.prefixes.document).toBe('title: none | text: ');
});

test('probe asks once and tells the dimensions, or what is wrong', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai', { maxRetries: 1 });
  expect(await provider.probe()).toMatchObject({ ok: true, dimensions: 8, device: new URL(server.urls.openai).host });
  expect(server.requests).toHaveLength(1);
  server.script({ kind: 'dimensions', dimensions: 5 });
  expect(await provider.probe()).toMatchObject({
    ok: false,
    message: `own-model at ${server.urls.openai}/embeddings makes 5 dimensions, the configuration asks for 8.`,
  });
});
