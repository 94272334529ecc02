import { describe, expect, test } from 'vitest';
import { InterruptedError } from '../../../../src/errors.ts';
import { cutText } from '../../../../src/providers/remote/cut-text.ts';
import { hashVectors } from '../../../helpers/scripted-protocols.ts';
import { startScriptedServer } from '../../../helpers/scripted-server.ts';
import type { Step } from '../../../helpers/scripted-steps.ts';
import { busy, failureOf, openAt, scripted, status, TEXTS } from './remote-bed.ts';

const DOCUMENT = { kind: 'document' } as const;

describe('what may pass is tried again', () => {
  const passing: readonly (readonly [string, Step])[] = [
    ['408', status(408)],
    ['409', status(409)],
    ['424', status(424)],
    ['429 without Retry-After', status(429)],
    ['429 with Retry-After', busy],
    ['500', status(500)],
    ['503', status(503)],
    ['a reset connection', { kind: 'reset' }],
    ['a connection cut in the middle of the body', { kind: 'cut' }],
    ['malformed JSON', { kind: 'malformed' }],
  ];
  test.each(passing)('after %s', async (_, step) => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    server.script(step);
    expect((await provider.embed(TEXTS, DOCUMENT)).vectors).toEqual(await hashVectors(TEXTS, 8));
    expect(server.requests.map(({ texts }) => texts)).toEqual([TEXTS, TEXTS]);
  });

  const silent: readonly (readonly [string, Step])[] = [
    ['a half-open socket', { kind: 'silent' }],
    ['half a body and silence', { kind: 'stall' }],
  ];
  test.each(silent)('after %s, once the time for one request is over', async (_, step) => {
    const server = await scripted();
    // More attempts than it needs: on a busy machine the answer to the second may take longer than this, too.
    const provider = await openAt(server, 'openai', { maxRetries: 50, env: { EMBEDDING_REQUEST_TIMEOUT: '250ms' } });
    server.script(step);
    expect((await provider.embed(TEXTS, DOCUMENT)).vectors).toEqual(await hashVectors(TEXTS, 8));
  });
});

describe('what cannot pass is asked once', () => {
  test.each([
    [400, 'request_refused', 'text'],
    [401, 'key_refused', 'service'],
    [402, 'quota_exhausted', 'service'],
    [403, 'key_refused', 'service'],
    [404, 'model_unknown', 'service'],
    [410, 'model_gone', 'service'],
    [422, 'request_refused', 'text'],
  ])('%i', async (code, expected, scope) => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    await provider.embed(['a'], DOCUMENT);
    server.rule = () => status(code, { error: { message: 'No.' } });
    const error = await failureOf(provider.embed(['b'], DOCUMENT));
    expect(error).toMatchObject({ code: expected, scope, retryable: false, context: { status: code } });
    expect(error.message).toBe(`${server.urls.openai}/embeddings answered ${code}: No.`);
    expect(error.hint).toBeTruthy();
    expect(server.requests).toHaveLength(2);
  });

  test('an empty account, which OpenAI tells with 429', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    server.rule = () => status(429, { error: { message: 'You exceeded your quota.', code: 'insufficient_quota' } });
    expect(await failureOf(provider.embed(['a'], DOCUMENT))).toMatchObject({ code: 'quota_exhausted' });
    expect(server.requests).toHaveLength(1);
  });

  test('a wrong key, which Gemini tells with 400', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'gemini');
    server.rule = () =>
      status(400, { error: { code: 400, message: 'API key not valid. Please pass a valid API key.' } });
    expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'key_refused', scope: 'service' });
    expect(server.requests).toHaveLength(1);
  });

  test('a model that is gone, with the next step', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    server.rule = () => status(410);
    const error = await failureOf(provider.embed(['a'], DOCUMENT));
    expect(error.hint).toContain('no longer offers own-model: choose another model or host it yourself');
  });
});

test('attempts end at REEMBED_MAX_RETRIES, and the error says so', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai', { maxRetries: 4 });
  server.rule = () => status(500, { detail: 'out of memory' });
  const error = await failureOf(provider.embed(TEXTS, DOCUMENT));
  expect(server.requests).toHaveLength(4);
  expect(error).toMatchObject({ code: 'service_failed', retryable: false, scope: 'service' });
  expect(error.message).toBe(
    `${server.urls.openai}/embeddings answered 500: out of memory. Given up after 4 attempts (REEMBED_MAX_RETRIES=4, EMBEDDING_DEADLINE=20s).`,
  );
});

test('a busy service is asked beyond REEMBED_MAX_RETRIES, with the same texts together', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai', { maxRetries: 1 });
  server.script(...Array(9).fill(busy), status(503, {}, { 'retry-after-ms': '3' }));
  expect((await provider.embed(TEXTS, DOCUMENT)).vectors).toHaveLength(4);
  expect(server.requests.map(({ texts }) => texts)).toEqual(Array(11).fill(TEXTS));
});

test('a busy service is asked until the deadline', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai', { maxRetries: 1, env: { EMBEDDING_DEADLINE: '800ms' } });
  // The first request of a process takes longer.
  await provider.embed(TEXTS, DOCUMENT);
  server.rule = () => busy;
  expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'service_busy', scope: 'service' });
  expect(server.requests.length).toBeGreaterThan(2);
});

test('a service that asks to come again at once is asked after growing pauses all the same', async () => {
  const server = await scripted();
  const env = { EMBEDDING_DEADLINE: '800ms', EMBEDDING_REQUEST_TIMEOUT: '12s' };
  const provider = await openAt(server, 'openai', { env });
  await provider.embed(TEXTS, DOCUMENT);
  server.rule = () => status(429, {}, { 'retry-after': '0' });
  expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'service_busy' });
  // From 50 ms on, doubled each time: five fit into the deadline at most, without pauses hundreds.
  expect(server.requests.length).toBeLessThan(10);
});

test('a pause that is longer than the deadline is not waited for', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai');
  server.rule = () => status(429, {}, { 'retry-after': '3600' });
  expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'service_busy' });
  // Nor does it hold up the next one.
  expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'service_busy' });
  expect(server.requests).toHaveLength(2);
});

test('the deadline ends a request in the middle', async () => {
  const server = await scripted();
  const env = { EMBEDDING_DEADLINE: '100ms', EMBEDDING_REQUEST_TIMEOUT: '1h' };
  const provider = await openAt(server, 'openai', { env });
  server.rule = () => ({ kind: 'silent' });
  expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'service_silent' });
});

test('a server that is not there is named', async () => {
  const server = await startScriptedServer();
  await server.close();
  const provider = await openAt(server, 'openai');
  const error = await failureOf(provider.embed(['a'], DOCUMENT));
  expect(error).toMatchObject({ code: 'service_unreachable', scope: 'service' });
  expect(error.message).toContain(`${server.urls.openai}/embeddings could not be asked: connect ECONNREFUSED`);
});

describe('a request that is too large', () => {
  const refusals: readonly (readonly [string, Step])[] = [
    ['413', status(413)],
    [
      'TEI: batch size',
      status(422, { error: 'batch size 8 > maximum allowed batch size 3', error_type: 'Validation' }),
    ],
    [
      'OpenAI: more than a minute has',
      status(429, {
        error: {
          message: 'Request too large for m on tokens per min (TPM): Limit 40000, Requested 60000.',
          code: 'rate_limit_exceeded',
        },
      }),
    ],
    ['OpenAI: tokens', status(400, { error: { message: 'Requested 400000 tokens, max 300000 tokens per request' } })],
  ];
  test.each(refusals)('is halved until it passes, and the size is remembered (%s)', async (_, refusal) => {
    const server = await scripted();
    const provider = await openAt(server, 'openai', { env: { EMBEDDING_MAX_REQUESTS: '1' } });
    server.rule = ({ texts }) => (texts.length > 3 ? refusal : undefined);
    const texts = Array.from({ length: 8 }, (_, i) => `text ${i}`);
    expect((await provider.embed(texts, DOCUMENT)).vectors).toEqual(await hashVectors(texts, 8));
    expect(server.requests.map((request) => request.texts.length)).toEqual([8, 4, 2, 2, 2, 2]);
    await provider.embed(texts, DOCUMENT);
    expect(server.requests.slice(6).map((request) => request.texts.length)).toEqual([2, 2, 2, 2]);
  });

  test('because its texts are long leaves short ones together', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai', { env: { EMBEDDING_MAX_REQUESTS: '1' } });
    server.rule = ({ texts }) => (texts.join('').length > 1000 ? status(413) : undefined);
    const long = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(600));
    await provider.embed(long, DOCUMENT);
    expect(server.requests.map((request) => request.texts.length)).toEqual([4, 2, 1, 1, 1, 1]);
    await provider.embed(TEXTS, DOCUMENT);
    expect(server.requests.slice(6).map((request) => request.texts.length)).toEqual([4]);
  });

  test('because of one text ends with that text, and the size of others stays', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai', { env: { EMBEDDING_MAX_REQUESTS: '1' } });
    server.rule = ({ texts }) => (texts.includes('large') ? status(413) : undefined);
    const error = await failureOf(provider.embed(['a', 'b', 'c', 'large'], DOCUMENT));
    expect(error).toMatchObject({ code: 'request_refused', scope: 'text', context: { status: 413 } });
    await provider.embed(TEXTS, DOCUMENT);
    expect(server.requests.at(-1)?.texts).toHaveLength(4);
  });
});

describe('a text that is longer than the model takes', () => {
  const words = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`).join(' ');
  const LONG = words(900);
  const refusals: readonly (readonly [string, (sent: number) => string])[] = [
    ['with its tokens', (sent) => `maximum context length is 512 tokens, however you requested ${sent} tokens (…)`],
    [
      'as vLLM says it',
      (sent) => `maximum context length is 512 tokens. However, you requested ${sent} tokens in the input`,
    ],
    ['without its tokens', () => "Invalid 'input': maximum context length is 512 tokens."],
  ];
  test.each(refusals)('is asked for alone, cut until it passes, and counted (%s)', async (_, message) => {
    const server = await scripted();
    const provider = await openAt(server, 'openai', { model: 'BAAI/bge-small-en-v1.5' });
    server.rule = ({ texts }) => {
      const sent = Math.max(...texts.map((text) => text.split(' ').length));
      return sent > 512 ? status(400, { error: { message: message(sent) } }) : undefined;
    };
    const { vectors, truncated } = await provider.embed(['a', LONG, 'b'], DOCUMENT);
    expect(truncated).toBe(1);
    const asked = server.requests.map(({ texts }) => texts);
    const passed = asked.filter(([text = '']) => text.startsWith('w0')).at(-1) ?? [];
    // Cut by what the service says, or by the estimate: not word by word.
    expect(asked.length).toBeLessThan(8);
    expect(asked).toContainEqual(['a']);
    expect(asked).toContainEqual(['b']);
    expect(LONG.startsWith(passed[0] ?? '?')).toBe(true);
    expect(passed[0]?.split(' ').length).toBeGreaterThan(256);
    expect(vectors).toEqual(await hashVectors(['a', passed[0] ?? '', 'b'], 8));
  });

  test('is not cut in the middle of a character', () => {
    const message = 'maximum context length is 50 tokens, however you requested 100 tokens';
    for (const text of ['a😀'.repeat(20), '😀'.repeat(20), '😀'.repeat(21)]) {
      const cut = cutText(text, message) ?? '';
      expect(Buffer.from(cut).toString()).toBe(cut);
      expect(text.startsWith(cut)).toBe(true);
    }
    expect(cutText('x', message)).toBeUndefined();
    expect(cutText('some text', 'Input is not acceptable.')).toBeUndefined();
  });
});

describe('an abort', () => {
  test.each([
    ['a request', { kind: 'silent' }],
    ['a pause', status(429, {}, { 'retry-after': '5' })],
  ] as const)('ends %s, with its reason', async (_, step) => {
    const server = await scripted();
    const provider = await openAt(server, 'openai', { env: { EMBEDDING_REQUEST_TIMEOUT: '1h' } });
    server.rule = () => step;
    const stop = new AbortController();
    const reason = new InterruptedError('interrupted', 'Stopped.');
    const work = failureOf(provider.embed(TEXTS, { ...DOCUMENT, signal: stop.signal }));
    while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort(reason);
    expect(await work).toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  test('with a reason that is no error keeps it', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    await expect(provider.embed(TEXTS, { ...DOCUMENT, signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
    expect(server.requests).toEqual([]);
  });

  test('by close ends what is in flight', async () => {
    const server = await scripted();
    const provider = await openAt(server, 'openai', { env: { EMBEDDING_REQUEST_TIMEOUT: '1h' } });
    server.rule = () => ({ kind: 'silent' });
    const work = failureOf(provider.embed(TEXTS, DOCUMENT));
    while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await provider.close();
    expect(await work).toMatchObject({ code: 'provider_closed' });
    expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'provider_closed' });
  });
});
