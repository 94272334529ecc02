import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { modelFromEnv } from '../../../src/config/model-from-env.ts';
import { PROVIDERS } from '../../../src/config/provider-names.ts';
import { overrideFromEnv } from '../../../src/config/reference-env.ts';
import { loadRuntimeSettings } from '../../../src/config/runtime.ts';
import { Secret } from '../../../src/config/secret.ts';

const directory = mkdtempSync(join(tmpdir(), 'reembed-keys-'));
afterAll(() => rmSync(directory, { recursive: true }));

const KEY = 'sk-0123456789';
const REFERENCE = { id: 'a', table: 'segments', text: 'text', column: 'embedding', model: 'm', dimensions: 384 };

describe('keys', () => {
  test('do not show, however the settings are printed', () => {
    const settings = loadRuntimeSettings({ OPENAI_API_KEY: KEY });
    const printed = [JSON.stringify(settings), inspect(settings, { depth: 9 }), `${settings.remote.keys.openai}`];
    expect(printed.join()).not.toContain(KEY);
    expect(settings.remote.keys.openai?.reveal()).toBe(KEY);
  });

  test('are taken out of what a server repeats', () => {
    expect(new Secret(KEY, 'OPENAI_API_KEY').redactFrom(`Incorrect API key provided: ${KEY}.`)).not.toContain(KEY);
  });

  test('come from a file where the variable is not set', () => {
    const file = join(directory, 'key');
    writeFileSync(file, `${KEY}\n`);
    const { keys } = loadRuntimeSettings({ HF_TOKEN_FILE: file }).remote;
    expect(keys.huggingface?.reveal()).toBe(KEY);
    expect(loadRuntimeSettings({ HF_TOKEN_FILE: file, HF_TOKEN: 'other' }).remote.keys.huggingface?.reveal()).toBe(
      'other',
    );
  });

  test('in a file that is missing or empty are a problem with its name', () => {
    const empty = join(directory, 'empty');
    writeFileSync(empty, ' \n');
    const env = { OPENAI_API_KEY_FILE: join(directory, 'none'), GEMINI_API_KEY_FILE: empty, EMBEDDING_DEVICE: 'tpu' };
    expect(() => loadRuntimeSettings(env)).toThrow(
      /3 problems:.*EMBEDDING_DEVICE is "tpu".*OPENAI_API_KEY_FILE is .*ENOENT.*GEMINI_API_KEY_FILE is .*expected a file with a key: it is empty/s,
    );
  });
});

describe('a base URL', () => {
  test('loses the slash at its end', () => {
    expect(loadRuntimeSettings({ EMBEDDING_BASE_URL: 'https://host/v1/' }).remote.baseUrl).toBe('https://host/v1');
  });

  test.each(['gateway/v1', 'ftp://host', `https://user:${KEY}@host`])('%s is refused without being repeated', (url) => {
    const load = () => loadRuntimeSettings({ EMBEDDING_BASE_URL: url });
    expect(load).toThrow(/EMBEDDING_BASE_URL is not understood, expected a URL such as/);
    expect(load).not.toThrow(url);
  });
});

describe('names that people have in their .env', () => {
  test('EMBEDDING_MODEL_TYPE and HUGGINGFACE_MODEL name provider and model', () => {
    const env = { EMBEDDING_MODEL_TYPE: 'huggingface', HUGGINGFACE_MODEL: 'BAAI/bge-small-en-v1.5' };
    const expected = { provider: 'huggingface', model: 'BAAI/bge-small-en-v1.5', dimensions: 384 };
    expect(modelFromEnv(env)).toEqual(expected);
    expect(overrideFromEnv(REFERENCE, env)).toMatchObject(expected);
  });

  test('HUGGINGFACE_MODEL says nothing about another provider', () => {
    expect(modelFromEnv({ EMBEDDING_PROVIDER: 'hash', EMBEDDING_MODEL: 'hash/8', HUGGINGFACE_MODEL: 'a/b' })).toEqual({
      provider: 'hash',
      model: 'hash/8',
      dimensions: 8,
    });
  });

  test('that contradict each other are refused', () => {
    const env = { EMBEDDING_PROVIDER: 'local', EMBEDDING_MODEL_TYPE: 'openai' };
    const problem = 'EMBEDDING_MODEL_TYPE is "openai", expected "local" as in EMBEDDING_PROVIDER';
    expect(() => modelFromEnv(env)).toThrow(problem);
    expect(() => overrideFromEnv(REFERENCE, env)).toThrow(problem);
  });
});

describe('a model that may cost money is not guessed', () => {
  test.each(PROVIDERS.filter((provider) => provider !== 'local'))('%s needs a model, and one is named', (provider) => {
    const env = { EMBEDDING_PROVIDER: provider };
    const problem = `EMBEDDING_MODEL is missing, expected a model of the provider ${provider}, e.g. `;
    expect(() => modelFromEnv(env)).toThrow(problem);
    expect(() => overrideFromEnv(REFERENCE, env)).toThrow(problem);
    const example = /e\.g\. (\S+)/.exec(messageOf(() => modelFromEnv(env)))?.[1];
    expect(modelFromEnv({ ...env, EMBEDDING_MODEL: example, EMBEDDING_DIMENSIONS: '384' }).model).toBe(example);
  });

  test.each([
    ['openai', 'text-embedding-3-large', 3072],
    ['openai', 'azure/text-embedding-3-small', 1536],
    ['openai', 'nomic-embed-text:v1.5', 768],
    ['gemini', 'models/gemini-embedding-001', 3072],
    ['tei', 'BAAI/bge-large-en-v1.5', 1024],
  ])('%s %s makes %i dimensions, as is known', (provider, model, dimensions) => {
    const env = { EMBEDDING_PROVIDER: provider, EMBEDDING_MODEL: model };
    expect(modelFromEnv(env)).toEqual({ provider, model, dimensions });
    const withoutIndex = { ...REFERENCE, index: { kind: 'none' } } as const;
    expect(overrideFromEnv(withoutIndex, env)).toMatchObject({ provider, model, dimensions });
    expect(modelFromEnv({ ...env, EMBEDDING_DIMENSIONS: '256' }).dimensions).toBe(256);
  });

  test('dimensions of a model that is not known are asked for', () => {
    const env = { EMBEDDING_PROVIDER: 'openai', EMBEDDING_MODEL: 'acme/own-model' };
    const problem = 'EMBEDDING_DIMENSIONS is missing, expected how many dimensions acme/own-model makes, e.g. 1024';
    expect(() => modelFromEnv(env)).toThrow(problem);
    expect(() => overrideFromEnv(REFERENCE, env)).toThrow(problem);
  });

  test('a model on this machine has a default, and the dimensions that are known of another', () => {
    expect(modelFromEnv({})).toEqual({ provider: 'local', model: 'BAAI/bge-small-en-v1.5', dimensions: 384 });
    expect(modelFromEnv({ EMBEDDING_MODEL: 'intfloat/e5-base' }).dimensions).toBe(768);
  });
});

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}
