import { describe, expect, test } from 'vitest';
import { providerSource } from '../../../../src/backfill/provider-source.ts';
import { hashVectors } from '../../../helpers/scripted-protocols.ts';
import { failureOf, openAt, scripted, TEXTS } from './remote-bed.ts';

const DOCUMENT = { kind: 'document' } as const;
const PROVIDERS = ['openai', 'tei', 'huggingface', 'gemini'] as const;

describe.each(PROVIDERS)('%s', (name) => {
  test.each(['too-few', 'too-many'] as const)('refuses %s vectors at once', async (kind) => {
    const server = await scripted();
    const provider = await openAt(server, name);
    server.script({ kind });
    const error = await failureOf(provider.embed(TEXTS, DOCUMENT));
    expect(error).toMatchObject({ code: 'wrong_cardinality', retryable: false, scope: 'service' });
    expect(error.message).toContain(`${kind === 'too-few' ? 3 : 5} vectors for 4 texts`);
    expect(server.embedded()).toHaveLength(1);
  });

  test('names observed and expected dimensions', async () => {
    const server = await scripted();
    const provider = await openAt(server, name);
    server.script({ kind: 'dimensions', dimensions: 6 });
    expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({
      code: 'dimensions_differ',
      scope: 'service',
      context: { observed: 6, expected: 8 },
    });
  });

  test('never takes NaN for 0, whichever way it was sent', async () => {
    const server = await scripted();
    const provider = await openAt(server, name);
    server.script({ kind: 'nan', at: 2 });
    const error = await failureOf(provider.embed(TEXTS, DOCUMENT));
    expect(error).toMatchObject({ code: 'vector_not_finite', scope: 'text' });
    expect(error.message).toMatch(/NaN.* for text 3 of 4/);
  });

  test('lets a vector of zeros through: the backfill names its row', async () => {
    const server = await scripted();
    const provider = await openAt(server, name);
    server.script({ kind: 'zero' });
    const { vectors } = await provider.embed(TEXTS, DOCUMENT);
    expect(vectors[0]).toEqual(new Float32Array(8));
  });
});

test('openai: an index that is there twice, that no text has, or that is missing is an error', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai');
  server.script({ kind: 'duplicated' });
  const twice = await failureOf(provider.embed(TEXTS, DOCUMENT));
  expect(twice.message).toContain('two vectors with index 0 for 4 texts');
  server.script({ kind: 'misnumbered' });
  const outside = await failureOf(provider.embed(TEXTS, DOCUMENT));
  expect(outside.message).toContain('a vector with index 4 for 4 texts');
  server.script({ kind: 'unnumbered' });
  const missing = await failureOf(provider.embed(TEXTS, DOCUMENT));
  expect(missing.message).toContain('a vector without an index for 4 texts');
});

test('huggingface: a model that does not pool is told from one that does', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'huggingface');
  server.script({ kind: 'token-vectors' });
  expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({
    code: 'answer_not_understood',
    message: `${server.urls.huggingface} answered one vector for each token, expected one for each text.`,
  });
});

test('an answer of another protocol is not understood', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai');
  server.script({ kind: 'status', status: 200, body: [[1, 2]] });
  expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'answer_not_understood' });
});

describe('a backfill', () => {
  const rows = Array.from({ length: 20 }, (_, i) => ({ key: [`${i}`], text: `text ${i}`, vector: undefined }));
  const produce = async (provider: Awaited<ReturnType<typeof openAt>>) =>
    providerSource(provider).produce(rows as never, undefined);

  test('finds the one text that a service refuses, and embeds the others', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    server.rule = ({ texts }) =>
      texts.includes('text 13')
        ? { kind: 'status', status: 400, body: { error: { message: 'Input is not acceptable.' } } }
        : undefined;
    const { rows: produced } = await produce(provider);
    expect(produced.filter(({ kind }) => kind === 'failed')).toEqual([produced[13]]);
    expect(produced[13]).toMatchObject({ kind: 'failed', reason: expect.stringContaining('Input is not acceptable.') });
    const [expected] = await hashVectors(['text 14'], 8);
    expect(produced[14]).toMatchObject({ vector: expected });
  });

  test('finds the one text whose vector is NaN', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    server.rule = ({ texts }) => (texts.includes('text 7') ? { kind: 'nan', at: texts.indexOf('text 7') } : undefined);
    const { rows: produced } = await produce(provider);
    expect(produced.flatMap(({ kind }, i) => (kind === 'failed' ? [i] : []))).toEqual([7]);
  });

  test('tells a bad text that stands alone, too', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    server.rule = ({ texts }) => (texts.includes('text 13') ? { kind: 'status', status: 400 } : undefined);
    const { rows: produced } = await providerSource(provider).produce(rows.slice(13, 14) as never, undefined);
    expect(produced).toMatchObject([{ kind: 'failed' }]);
    expect(server.requests.map(({ texts }) => texts)).toEqual([['text 13'], ['ok'], ['text 13']]);
  });

  test('a service that refuses every text is asked twice, not for each text', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    server.rule = () => ({ kind: 'status', status: 400, body: { message: 'dimensions is not supported.' } });
    expect(await failureOf(produce(provider))).toMatchObject({ code: 'request_refused', scope: 'service' });
    expect(server.requests.map(({ texts }) => texts.length)).toEqual([20, 1]);
  });

  test.each([
    [401, 'key_refused'],
    [403, 'key_refused'],
    [404, 'model_unknown'],
    [410, 'model_gone'],
    [500, 'service_failed'],
  ])('does not look for a bad text after %i', async (status, code) => {
    const server = await scripted();
    const provider = await openAt(server, 'openai', { maxRetries: 2 });
    server.rule = () => ({ kind: 'status', status });
    expect(await failureOf(produce(provider))).toMatchObject({ code, retryable: false, scope: 'service' });
    expect(server.requests).toHaveLength(status === 500 ? 2 : 1);
  });
});
