import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FILES, NAME, pullBed, REPOSITORY } from './pull-bed.ts';

const bed = await pullBed();
const { hub } = bed;
const TOKEN = 'hf_secret';
const tokens = (server: 'hub' | 'cdn'): (string | undefined)[] => [
  ...new Set(hub.requests.filter((each) => each.server === server).map(({ authorization }) => authorization)),
];

describe('the token', () => {
  beforeEach(() => {
    hub.repositories.set(NAME, { ...REPOSITORY, token: TOKEN, gated: true });
  });

  test('goes to the Hub with each request and to no other host', async () => {
    await bed.pull({ token: TOKEN });
    expect(tokens('hub')).toEqual([`Bearer ${TOKEN}`]);
    expect(tokens('cdn')).toEqual([undefined]);
  });

  test('goes along with a redirect on the Hub itself, as of a renamed repository', async () => {
    hub.repositories.set(NAME, { ...REPOSITORY, token: TOKEN, formerName: 'acme/old-name' });
    const pulled = await bed.pull({ name: 'acme/old-name', token: TOKEN });
    expect(pulled).toMatchObject({ name: 'acme/old-name', directory: join(bed.modelsDir, 'acme', 'old-name') });
    expect(tokens('hub')).toEqual([`Bearer ${TOKEN}`]);
  });

  test('is asked for where a model is gated, with the page on which its licence is accepted', async () => {
    const refusal = await bed.refusal();
    expect(refusal).toMatchObject({
      code: 'hub_gated',
      message: `${NAME} is gated: its licence has to be accepted before its files are given out.`,
      hint: `Accept it at ${hub.url}/${NAME}, then set HF_TOKEN to a token of the account that did, and run the same command again.`,
    });
    expect(await bed.refusal({ token: 'hf_other' })).toMatchObject({
      code: 'hub_gated',
      hint: expect.stringContaining('with the account that the token of HF_TOKEN belongs to'),
    });
  });

  test('that the Hub refuses is named by its variable, never by its value', async () => {
    const refusal = await bed.refusal({ token: 'revoked' });
    expect(refusal).toMatchObject({
      code: 'hub_token_refused',
      message: `${hub.url} refused the token of HF_TOKEN.`,
      hint: expect.stringContaining(`${hub.url}/settings/tokens`),
    });
    expect(JSON.stringify([refusal.message, refusal.hint, refusal.context])).not.toContain('revoked');
  });
});

describe('what does not exist is said in a sentence with the next step', () => {
  test('a model: perhaps it is private', async () => {
    const message = `${hub.url} has no model acme/none, or it is private.`;
    expect(await bed.refusal({ name: 'acme/none' })).toMatchObject({
      code: 'model_not_found',
      message,
      hint: 'Check the name; for a private model set HF_TOKEN.',
    });
    expect(await bed.refusal({ name: 'acme/none', token: TOKEN })).toMatchObject({
      message,
      hint: 'Check the name; for a private model the token of HF_TOKEN needs the right to read it.',
    });
  });

  test('a revision', async () => {
    expect(await bed.refusal({ revision: 'v9' })).toMatchObject({
      code: 'revision_not_found',
      message: `${NAME} has no revision v9 on ${hub.url}.`,
      hint: expect.stringContaining(`${hub.url}/${NAME}/commits/main`),
    });
  });
});

describe('a Hub that is busy', () => {
  test('is asked again', async () => {
    hub.faults.tooMany = 2;
    expect(await bed.pull()).toMatchObject({ result: 'downloaded' });
  });

  test('for long is told with its answer and without the token', async () => {
    hub.faults.tooMany = 50;
    expect(await bed.refusal({ token: TOKEN })).toMatchObject({
      code: 'hub_refused',
      message: `${new URL(hub.url).host} answered 429 for ${NAME} (We had to rate limit you), 200 was expected.`,
      hint: expect.stringContaining('fewer requests'),
    });
    expect(hub.requests).toHaveLength(4);
  });
});

describe('only over https', () => {
  const remote = { hubUrl: 'http://hub.invalid', requestTimeoutMs: 1000, keys: { huggingface: undefined } };

  test('an endpoint that is not this machine', async () => {
    expect(await bed.refusal({ remote: { ...remote, allowHttp: false } })).toMatchObject({
      code: 'hub_insecure',
      message: 'HF_ENDPOINT leads to http://hub.invalid, https was expected.',
    });
    // Allowed, it is asked; it does not exist.
    expect(await bed.refusal({ remote: { ...remote, allowHttp: true } })).toMatchObject({ code: 'hub_unreachable' });
  });

  test('a redirect', async () => {
    const { cdnUrl } = hub;
    hub.cdnUrl = 'http://cdn.invalid';
    expect(await bed.refusal()).toMatchObject({
      code: 'hub_insecure',
      message: `A redirect of ${hub.url} leads to http://cdn.invalid, https was expected.`,
    });
    hub.cdnUrl = cdnUrl;
  });
});

test('where clouds keep their credentials nothing is asked for, also when a redirect leads there', async () => {
  const { cdnUrl } = hub;
  hub.cdnUrl = 'https://169.254.169.254';
  expect(await bed.refusal()).toMatchObject({
    code: 'address_refused',
    message: expect.stringContaining(`A redirect of ${hub.url} leads to 169.254.169.254, a link-local address`),
  });
  hub.cdnUrl = cdnUrl;
  const remote = { allowHttp: true, requestTimeoutMs: 1000, keys: { huggingface: undefined } };
  for (const hubUrl of ['http://metadata.google.internal', 'http://[fe80::1]', 'http://[::ffff:169.254.1.1]']) {
    expect(await bed.refusal({ remote: { ...remote, hubUrl } })).toMatchObject({ code: 'address_refused' });
  }
});

describe('without a way to the Hub', () => {
  const closed = { hubUrl: '', allowHttp: false, requestTimeoutMs: 5000, keys: { huggingface: undefined } };
  beforeAll(async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closed.hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
  });

  test('and without the model, one message names the three ways on', async () => {
    const { code, message, hint } = await bed.refusal({ remote: closed });
    expect(code).toBe('hub_unreachable');
    expect(message).toMatch(
      new RegExp(
        `^The model ${NAME} is not under ${bed.modelsDir} as it was asked for, and 127\\.0\\.0\\.1:\\d+ could not be asked: connect ECONNREFUSED .+\\.$`,
      ),
    );
    expect(hint).toContain(`copy the directory of a machine that has the model to ${join(bed.modelsDir, NAME)}`);
    expect(hint).not.toContain('model pull');
    expect(hint).toContain('set HF_ENDPOINT to a mirror');
    expect(hint).toContain('sentence-transformers/all-MiniLM-L6-v2 (bundled');
  });

  test('the model that is here is taken, unless another revision is asked for', async () => {
    const { revision } = await bed.pull();
    expect(await bed.pull({ remote: closed })).toMatchObject({ result: 'present', revision });
    expect(await bed.refusal({ remote: closed, revision: 'v2' })).toMatchObject({ code: 'hub_unreachable' });
    expect(await bed.refusal({ remote: closed, updateLock: true })).toMatchObject({ code: 'hub_unreachable' });
  });

  test('something else in its place is told from it', async () => {
    const server = createServer((_, response) => response.end('<html>sign in to the network</html>'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stop = () => server.close();
    const { port } = server.address() as AddressInfo;
    expect(await bed.refusal({ remote: { ...closed, hubUrl: `http://127.0.0.1:${port}` } })).toMatchObject({
      code: 'hub_answer_invalid',
      message: expect.stringContaining('does not answer as the Hub does'),
    });
  });

  let stop = (): unknown => undefined;
  afterEach(() => void stop());
});

test('a file that vanished meanwhile is named', async () => {
  hub.repositories.set(NAME, { ...REPOSITORY, missing: ['tokenizer.json'] });
  expect(await bed.refusal()).toMatchObject({
    code: 'hub_file_missing',
    message: expect.stringMatching(new RegExp(`^${NAME} has no tokenizer\\.json at [0-9a-f]{40}\\.$`)),
  });
  expect(Object.keys(FILES)).toContain('tokenizer.json');
});
