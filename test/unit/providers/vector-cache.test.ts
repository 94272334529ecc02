import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { embedCanary } from '../../../src/providers/canary.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../../src/providers/types.ts';
import { cachedProvider } from '../../../src/providers/vector-cache/cached-provider.ts';
import { countCached } from '../../../src/providers/vector-cache/count-cached.ts';
import { type CountingOptions, countingProvider } from './counting-provider.ts';

const DOCUMENTS = { kind: 'document' } as const;
const REFERENCE = { provider: 'openai', model: 'embed-8', dimensions: 8 } as const;

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'reembed-vectors-'));
});
afterEach(() => rm(cacheDir, { recursive: true, force: true }));

/** A provider over this test's directory, as a new process opens it. */
function open(options: CountingOptions = {}) {
  const service = countingProvider(options);
  const warnings: string[] = [];
  const provider = cachedProvider(service, { cacheDir, onWarning: (message) => void warnings.push(message) });
  return { service, provider, warnings };
}

async function embedOnce(texts: readonly string[], options: CountingOptions = {}): Promise<readonly string[]> {
  const { provider, service } = open(options);
  await provider.embed(texts, DOCUMENTS);
  await provider.close();
  return service.asked;
}

async function modelDirectory(): Promise<string> {
  const [name] = await readdir(join(cacheDir, 'vectors'));
  return join(cacheDir, 'vectors', name ?? '');
}

async function segmentFile(end: string): Promise<string> {
  const directory = await modelDirectory();
  const name = (await readdir(directory)).find((file) => file.endsWith(end));
  return join(directory, name ?? '');
}

const plain = (vectors: readonly Float32Array[]): number[][] => vectors.map((vector) => [...vector]);
const truth = async (texts: readonly string[]): Promise<number[][]> =>
  plain((await hashProvider('hash/8').embed(texts, DOCUMENTS)).vectors);

describe('a text that was paid for', () => {
  it('costs nothing in the next process, whose vectors are the very same', async () => {
    await embedOnce(['one', 'two']);
    const { provider, service } = open();
    const again = await provider.embed(['two', 'three', 'one'], DOCUMENTS);
    expect(service.asked).toEqual(['document three']);
    expect(plain(again.vectors)).toEqual(await truth(['two', 'three', 'one']));
    expect(again.tokens).toBe(1);
    await provider.close();
  });

  it('is there after kill -9, with all that were answered before it', async () => {
    const script = fileURLToPath(new URL('./killed-while-keeping.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', script, cacheDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    for await (const chunk of child.stdout) {
      printed += String(chunk);
      if (printed.split('\n').length > 50) child.kill('SIGKILL');
    }
    // The last line may be torn; the one text that was being asked for may be there or not.
    const answered = printed.split('\n').slice(0, -1);
    expect(answered.length).toBeGreaterThanOrEqual(50);
    expect(await embedOnce(answered.map((i) => `text ${i}`))).toEqual([]);
  });

  it('is another one as a query than as a document', async () => {
    const { provider, service } = open();
    await provider.embed(['one'], DOCUMENTS);
    await provider.embed(['one'], { kind: 'query' });
    expect(service.asked).toEqual(['document one', 'query one']);
    await provider.close();
  });

  it('costs once however often it stands in a call, and in calls at the same time', async () => {
    const { provider, service } = open({ before: () => new Promise((resolve) => setImmediate(resolve)) });
    const calls = [
      ['a', 'b', 'a'],
      ['b', 'c'],
      ['c', 'a'],
    ];
    const results = await Promise.all(calls.map((texts) => provider.embed(texts, DOCUMENTS)));
    expect([...service.asked].sort()).toEqual(['document a', 'document b', 'document c']);
    for (const [i, { vectors }] of results.entries()) expect(plain(vectors)).toEqual(await truth(calls[i] ?? []));
    await provider.close();
  });

  it('is asked for by the call that waited for another, when that one failed', async () => {
    let calls = 0;
    const { provider } = open({
      async before() {
        calls += 1;
        if (calls > 1) return;
        await new Promise((resolve) => setImmediate(resolve));
        throw new Error('cut');
      },
    });
    const first = provider.embed(['a'], DOCUMENTS);
    const second = provider.embed(['a'], DOCUMENTS);
    await expect(first).rejects.toThrow('cut');
    expect(plain((await second).vectors)).toEqual(await truth(['a']));
    await provider.close();
  });

  it('is not waited for by a call that was stopped, although another call still asks for it', async () => {
    const answers: (() => void)[] = [];
    const { provider } = open({ before: () => new Promise((resolve) => void answers.push(resolve)) });
    const first = provider.embed(['a'], DOCUMENTS);
    while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(provider.embed(['a'], { ...DOCUMENTS, signal })).rejects.toThrow('stopped');
    answers[0]?.();
    expect(plain((await first).vectors)).toEqual(await truth(['a']));
    await provider.close();
  });

  it('is kept although a later request of the same call failed', async () => {
    const before = (texts: readonly string[]): void => {
      if (texts.includes('e')) throw new Error('budget');
    };
    const texts = ['a', 'b', 'c', 'd', 'e'];
    await expect(embedOnce(texts, { perRequest: 2, before })).rejects.toThrow('budget');
    expect(await embedOnce(texts)).toEqual(['document e']);
  });

  it('is still counted as cut when it comes from the cache', async () => {
    const truncated = (text: string): boolean => text.length > 10;
    const texts = ['short', 'a text that is too long', 'tiny'];
    await embedOnce(texts, { truncated });
    const { provider } = open();
    expect(await provider.embed(['short', 'a text that is too long'], DOCUMENTS)).toMatchObject({ truncated: 1 });
    await provider.close();
  });

  it('is another one for another fingerprint', async () => {
    await embedOnce(['one']);
    expect(await embedOnce(['one'], { name: 'embed-9' })).toEqual(['document one']);
  });
});

describe('plan', () => {
  it('knows what is kept by what the configuration names, without a service', async () => {
    await embedOnce(['one', 'two', 'three']);
    expect(await countCached(cacheDir, REFERENCE, ['two', 'four', 'one', 'two'])).toBe(3);
    expect(await countCached(cacheDir, { ...REFERENCE, dimensions: 16 }, ['one'])).toBe(0);
    expect(await countCached(cacheDir, { ...REFERENCE, revision: 'abc' }, ['one'])).toBe(0);
    expect(await countCached(join(cacheDir, 'nowhere'), REFERENCE, ['one'])).toBe(0);
  });
});

describe('what must not be believed', () => {
  it('a damaged record is asked for again, and its neighbours are not', async () => {
    await embedOnce(['one', 'two', 'three']);
    const path = await segmentFile('.vectors');
    const bytes = await readFile(path);
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const { provider, service } = open();
    const { vectors } = await provider.embed(['one', 'two', 'three'], DOCUMENTS);
    expect(service.asked).toEqual(['document two']);
    expect(plain(vectors)).toEqual(await truth(['one', 'two', 'three']));
    await provider.close();
    expect(await embedOnce(['one', 'two', 'three'])).toEqual([]);
  });

  it.each(['.vectors', '.keys'])('a torn end of %s costs only itself', async (end) => {
    await embedOnce(['one', 'two', 'three']);
    const path = await segmentFile(end);
    await truncate(path, (await stat(path)).size - 5);
    expect(await embedOnce(['one', 'two', 'three'])).toEqual(['document three']);
  });

  it.each([
    ['another version', (bytes: Buffer) => bytes.writeUInt32LE(99, 4)],
    ['other dimensions', (bytes: Buffer) => bytes.writeUInt32LE(16, 8)],
  ])('a segment of %s is left alone', async (_, change) => {
    await embedOnce(['one']);
    const path = await segmentFile('.keys');
    const bytes = await readFile(path);
    change(bytes);
    await writeFile(path, bytes);
    expect(await embedOnce(['one'])).toEqual(['document one']);
  });

  it.each([
    ['a zero vector', () => new Float32Array(8)],
    ['a vector of another length', () => Float32Array.of(1, 0)],
    ['not a number', () => new Float32Array(8).fill(Number.NaN)],
    ['one vector for different texts', () => Float32Array.of(1, 0, 0, 0, 0, 0, 0, 0)],
  ])('%s is not kept: the service may have been ill', async (_, make) => {
    const inner = hashProvider('hash/8');
    const actual = (): EmbeddingProvider => ({
      ...inner,
      embed: async (texts) => ({ vectors: texts.map(make), tokens: texts.length, truncated: 0 }),
    });
    const { provider } = open({ actual });
    expect((await provider.embed(['one', 'two'], DOCUMENTS)).vectors).toHaveLength(2);
    await provider.close();
    expect(await embedOnce(['one', 'two'])).toEqual(['document one', 'document two']);
  });

  it('vectors of a model that changed under its name are given up, those of the same one stay', async () => {
    const before = open();
    await before.provider.kept?.agree(await embedCanary(before.service, undefined));
    await before.provider.embed(['one'], DOCUMENTS);
    await before.provider.kept?.agree(await embedCanary(before.service, undefined));
    await before.provider.close();
    expect(await embedOnce(['one'])).toEqual([]);

    const inner = hashProvider('hash/8');
    const reversed: EmbeddingProvider = {
      ...inner,
      embed: async (texts, options) => {
        const result = await inner.embed(texts, options);
        return { ...result, vectors: result.vectors.map((vector) => vector.toReversed()) };
      },
    };
    const after = open({ actual: () => reversed });
    await after.provider.kept?.agree(await embedCanary(after.service, undefined));
    await after.provider.embed(['one'], DOCUMENTS);
    expect(after.service.asked.at(-1)).toBe('document one');
    await after.provider.close();
  });

  it('vectors that nobody has looked at are given up when somebody looks', async () => {
    await embedOnce(['one']);
    const { provider, service } = open();
    await provider.kept?.agree(await embedCanary(service, undefined));
    await provider.embed(['one'], DOCUMENTS);
    expect(service.asked.at(-1)).toBe('document one');
    await provider.close();
  });
});

describe('the directory', () => {
  it('is readable by its owner alone', async () => {
    await embedOnce(['one']);
    const directory = await modelDirectory();
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(directory)) {
      expect((await stat(join(directory, name))).mode & 0o777, name).toBe(0o600);
    }
  });

  it('is opened without writing what another process may be writing: only its time is new', async () => {
    await embedOnce(['one']);
    const reference = join(await modelDirectory(), 'reference.json');
    await utimes(reference, 1, 1);
    const before = await stat(reference);
    await embedOnce(['one']);
    const after = await stat(reference);
    expect(after.ino).toBe(before.ino);
    expect(after.mtimeMs).toBeGreaterThan(before.mtimeMs);
  });

  it('is shared by processes that write at the same time', async () => {
    const [a, b] = [open(), open()];
    await Promise.all([a.provider.embed(['one', 'two'], DOCUMENTS), b.provider.embed(['three'], DOCUMENTS)]);
    await Promise.all([a.provider.embed(['four'], DOCUMENTS), b.provider.embed(['five'], DOCUMENTS)]);
    await Promise.all([a.provider.close(), b.provider.close()]);
    expect(await embedOnce(['one', 'two', 'three', 'four', 'five'])).toEqual([]);
  });

  it('that cannot be made is told once, and the run goes on without it', async () => {
    await writeFile(join(cacheDir, 'vectors'), 'a file where the directory belongs');
    const { provider, warnings } = open();
    expect(plain((await provider.embed(['one'], DOCUMENTS)).vectors)).toEqual(await truth(['one']));
    await provider.embed(['two'], DOCUMENTS);
    expect(warnings).toEqual([
      expect.stringMatching(/vectors\/\w+ cannot be written \(.*\): vectors of embed-8 are not/),
    ]);
    await provider.close();
  });

  it('that is removed under a running process is told once, and its texts are asked for again', async () => {
    await embedOnce(['one']);
    const { provider, service, warnings } = open();
    await provider.embed(['one'], DOCUMENTS);
    await rm(await modelDirectory(), { recursive: true });
    for (const texts of [['one'], ['two'], ['three', 'one']]) {
      expect(plain((await provider.embed(texts, DOCUMENTS)).vectors)).toEqual(await truth(texts));
    }
    expect(service.asked).toEqual(['document one', 'document two', 'document three', 'document one']);
    expect(warnings).toHaveLength(1);
    await provider.close();
  });
});
