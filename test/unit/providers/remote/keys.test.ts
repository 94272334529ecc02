import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { loadRuntimeSettings } from '../../../../src/config/runtime.ts';
import type { RemoteProviderName } from '../../../../src/config/types.ts';
import { createProvider } from '../../../../src/providers/create-provider.ts';
import { openConnection } from '../../../../src/providers/remote/connection.ts';
import { checkAddresses } from '../../../../src/providers/remote/endpoint.ts';
import type { Step } from '../../../helpers/scripted-steps.ts';
import { failureOf, KEY, openAt, scripted, status, TEXTS } from './remote-bed.ts';

const DOCUMENT = { kind: 'document' } as const;

const open = (provider: RemoteProviderName, env: Readonly<Record<string, string>>) =>
  createProvider({ provider, model: 'm', dimensions: 8 }, { remote: loadRuntimeSettings(env).remote });

describe('a key', () => {
  test.each([
    ['openai', 'OPENAI_API_KEY'],
    ['huggingface', 'HUGGINGFACE_TOKEN'],
    ['gemini', 'GEMINI_API_KEY'],
  ] as const)('that %s needs is missed by its name, before any request', async (provider, variable) => {
    const error = await failureOf(open(provider, {}));
    expect(error).toMatchObject({ name: 'ConfigError', code: 'key_missing' });
    expect(error.message).toContain(`${variable} is not set`);
  });

  test('is not needed by a server of one’s own', async () => {
    await (await open('openai', { EMBEDDING_BASE_URL: 'http://localhost:8000/v1' })).close();
  });

  test('that no header can carry is refused without being shown', async () => {
    const error = await failureOf(open('openai', { OPENAI_API_KEY: 'sk-1234\n5678' }));
    expect(error).toMatchObject({ name: 'ConfigError', code: 'key_malformed' });
    expect(inspect(error, { depth: 9 })).not.toContain('5678');
  });

  test('for any provider goes before the provider’s own', async () => {
    const server = await scripted({ key: 'any' });
    const provider = await openAt(server, 'gemini', { env: { EMBEDDING_API_KEY: 'any', GEMINI_API_KEY: 'own' } });
    await provider.embed(['a'], DOCUMENT);
  });

  const repeating: readonly (readonly [string, Step])[] = [
    ['refused key', status(401, { error: { message: 'Incorrect API key provided: {key}.' } })],
    ['error page', status(403, '<html>Authorization: Bearer {key}</html>')],
    ['failure', status(500, { trace: { headers: ['{key}'] } })],
    ['long answer', status(400, `${'x'.repeat(285)}{key}`)],
    ['answer that escapes it', status(400, `{"error":"${KEY.replaceAll('-', '\\u002d')}"}`)],
    ['redirect', status(302, '', { location: `https://elsewhere.example/?token=${KEY}` })],
    ['redirect with the key in its path', status(302, '', { location: `https://elsewhere.example/${KEY}` })],
  ];
  test.each(repeating)('that a %s repeats shows nowhere in the error', async (_, step) => {
    const server = await scripted();
    const provider = await openAt(server, 'openai');
    server.rule = () => step;
    const error = await failureOf(provider.embed(TEXTS, DOCUMENT));
    const shown = `${inspect(error, { depth: 9, showHidden: true })}${JSON.stringify(error)}${error.stack}`;
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
    // Not even the beginning of it, which a cut message could leave.
    expect(shown).not.toContain(KEY.slice(0, 8));
  });

  test('in the URL’s query shows in no error', async () => {
    const server = await scripted();
    const env = { EMBEDDING_BASE_URL: `${server.urls.openai}?api-key=query-secret` };
    const provider = await openAt(server, 'openai', { env });
    server.rule = () => status(404);
    const error = await failureOf(provider.embed(TEXTS, DOCUMENT));
    expect(server.requests[0]?.path).toBe('/v1/embeddings?api-key=query-secret');
    expect(inspect(error, { depth: 9 })).not.toContain('query-secret');
  });
});

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])('%i to another host is not followed, and the host is named', async (code) => {
    const [server, other] = [await scripted(), await scripted()];
    const provider = await openAt(server, 'openai');
    server.rule = () => status(code, '', { location: `${other.urls.openai}/embeddings` });
    const error = await failureOf(provider.embed(TEXTS, DOCUMENT));
    expect(error).toMatchObject({ code: 'redirected', scope: 'service', retryable: false });
    expect(error.message).toContain(`leads to ${other.urls.openai}/embeddings`);
    expect(error.hint).toContain('EMBEDDING_BASE_URL');
    expect(other.requests).toEqual([]);
  });

  test('on the same server is followed with method, body and key, but not for ever', async () => {
    const server = await scripted({ key: KEY });
    const provider = await openAt(server, 'openai');
    server.script(status(307, '', { location: '/other/embeddings' }));
    expect((await provider.embed(TEXTS, DOCUMENT)).vectors).toHaveLength(4);
    expect(server.requests.map(({ path, texts }) => [path, texts.length])).toEqual([
      ['/v1/embeddings', 4],
      ['/other/embeddings', 4],
    ]);
    server.rule = () => status(308, '', { location: '/v1/embeddings' });
    expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'redirected' });
  });
});

describe('an address', () => {
  test.each([
    'http://169.254.169.254/v1',
    'http://169.254.1.1',
    'http://0xa9fea9fe/v1',
    'http://2852039166/v1',
    'http://[::ffff:169.254.169.254]/v1',
    'http://[::ffff:a9fe:a9fe]/v1',
    'https://[fe80::1]/v1',
    'https://[fd00:ec2::254]/v1',
    'https://100.100.100.200/v1',
    'https://metadata.google.internal/v1',
    'https://METADATA.google.internal./v1',
  ])('%s is refused, whatever is allowed', async (url) => {
    const error = await failureOf(open('openai', { EMBEDDING_BASE_URL: url, EMBEDDING_ALLOW_HTTP: '1' }));
    expect(error).toMatchObject({ name: 'ConfigError', code: 'address_refused' });
  });

  test.each(['http://embeddings.internal/v1', 'http://10.0.0.1/v1'])('%s needs https or a word', async (url) => {
    const error = await failureOf(open('openai', { EMBEDDING_BASE_URL: url }));
    expect(error).toMatchObject({ code: 'http_refused' });
    expect(error.hint).toContain('EMBEDDING_ALLOW_HTTP=1');
    await (await open('openai', { EMBEDDING_BASE_URL: url, EMBEDDING_ALLOW_HTTP: '1' })).close();
  });

  test.each(['http://localhost:8000/v1', 'http://127.0.0.2/v1', 'http://[::1]:8000/v1', 'https://example.org'])(
    '%s is taken as it is',
    async (url) => (await open('openai', { EMBEDDING_BASE_URL: url })).close(),
  );

  test.each(['169.254.169.254', 'fe80::1%eth0', '::ffff:169.254.169.254'])(
    'behind a name is refused like itself (%s)',
    async (address) => {
      const resolve = async () => [{ address: '203.0.113.7' }, { address }];
      const error = await failureOf(checkAddresses(new URL('https://embeddings.example/v1'), resolve));
      expect(error).toMatchObject({ name: 'ConfigError', code: 'address_refused' });
      expect(error.message).toContain(`embeddings.example resolves to ${address},`);
    },
  );

  test('behind a name is looked at before the first request', async () => {
    const server = await scripted();
    const connection = openConnection({
      provider: 'openai',
      model: 'm',
      key: undefined,
      keyHeader: () => ({}),
      settings: { requestTimeoutMs: 5000 },
      resolve: async () => [{ address: '169.254.169.254' }],
    });
    const url = new URL(server.urls.openai.replace('127.0.0.1', 'localhost'));
    const { signal } = new AbortController();
    expect(await failureOf(connection({ url, texts: 0 }, signal))).toMatchObject({ code: 'address_refused' });
    expect(server.requests).toEqual([]);
  });

  test('that no name server knows is an error that names it', async () => {
    const env = { EMBEDDING_BASE_URL: 'https://no-such-host.invalid/v1' };
    const provider = await openAt(await scripted(), 'openai', { env, maxRetries: 1 });
    const error = await failureOf(provider.embed(['a'], DOCUMENT));
    expect(error).toMatchObject({ code: 'service_unreachable' });
    expect(error.message).toContain('https://no-such-host.invalid/v1/embeddings could not be asked: ');
  });

  test('of TEI has to be said', async () => {
    expect(await failureOf(open('tei', {}))).toMatchObject({ code: 'base_url_missing' });
  });
});
