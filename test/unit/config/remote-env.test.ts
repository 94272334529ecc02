import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { modelFromEnv } from '../../../src/config/model-from-env.ts';
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
