import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openRegistry } from '../../../src/adapters/registry.ts';
import type { ExitCode } from '../../../src/cli/command.ts';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';
import { loadRuntimeSettings } from '../../../src/config/runtime.ts';
import type { ModelReference } from '../../../src/config/types.ts';
import { createProvider } from '../../../src/providers/create-provider.ts';
import { composeOnTexts } from '../../../src/steps/compose-adapters.ts';
import { affine, newEntry } from '../adapters/sample-projection.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

const root = await temporaryDirectory();
const dir = join(root, 'projections');
const registry = openRegistry(dir);

/** What a verb prints: `reembed adapter …` with `--dir`, as the binary parses it. */
async function adapter(
  ...args: readonly string[]
): Promise<{ code: ExitCode | undefined; value: unknown; text: string }> {
  const printed = { value: undefined as unknown, text: '' };
  const chosen = await parseArguments(['adapter', ...args, ...(args.includes('--dir') ? [] : ['--dir', dir])], '0');
  const code = await chosen?.({
    cwd: root,
    signal: new AbortController().signal,
    output: {
      json: false,
      onProgress: () => undefined,
      note: () => undefined,
      failure: () => undefined,
      result: (value, text) => Object.assign(printed, { value, text }),
    },
  });
  return { code, ...printed };
}

const reference = (dimensions: number): ModelReference => ({
  provider: 'hash',
  model: `hash/${dimensions}`,
  dimensions,
});

/** A projection between two test models, under an id of its own. */
async function add(id: string, input: number, output: number): Promise<void> {
  const [source, target] = await Promise.all(
    [input, output].map(async (dimensions) => {
      const { model } = await createProvider(reference(dimensions));
      return { fingerprint: { ...model }, reference: reference(dimensions), dimensions };
    }),
  );
  if (source === undefined || target === undefined) throw new Error('two spaces were expected');
  await registry.add(newEntry({ id, source, target }), { layers: [affine(input, output, { normalize: true })] });
}

beforeAll(async () => {
  await add('a-b', 32, 24);
  await add('b-c', 24, 16);
});

describe('reembed adapter', () => {
  test('lists what is there, and shows one with all its measures and what they mean', async () => {
    const list = await adapter('list');
    expect(list.code).toBe(0);
    expect(list.text).toMatch(/^2 projections in .*\n\nid .*\na-b +document +32 -> 24 +0\.930 +0\.910–0\.950 +0\.910/);
    const show = await adapter('show', 'a-b');
    expect(show.value).toMatchObject({
      id: 'a-b',
      metrics: { holdout: 500 },
      layers: [{ input: 32, output: 24, normalize: true }],
    });
    expect(show.text).toContain('Recall@10  0.820    0.770      0.740  0.930   0.910–0.950');
    expect(show.text).toContain(
      'Through it about 7.0% of what real vectors find was not found; 91 to 95% kept is what 480 queries can tell.',
    );
    await expect(adapter('show', 'c-d')).rejects.toThrow('it has a-b, b-c.');
  });

  test('carries a projection to another registry, and removes it', async () => {
    const other = join(root, 'other');
    expect((await adapter('export', 'a-b', '--output', 'shared.safetensors')).text).toContain('shared.safetensors');
    expect((await adapter('import', 'shared.safetensors', '--dir', other)).text).toContain(
      `Registered a-b in ${other}`,
    );
    expect((await adapter('import', 'shared.safetensors', '--dir', other)).value).toMatchObject({ added: false });
    expect((await adapter('remove', 'a-b', '--dir', other)).value).toMatchObject({ removed: 'a-b' });
    expect((await adapter('list', '--dir', other)).text).toContain('No projections in');
  });

  test('composes two, measures the chain on texts, and says so where it did not', async () => {
    const passages = (await readFile('examples/postgres-docs/passages.jsonl', 'utf8')).split('\n').slice(0, 60);
    await writeFile(join(root, 'texts.jsonl'), passages.join('\n'));
    const chain = await adapter('compose', 'a-b', 'b-c', '--text-file', 'texts.jsonl');
    expect(chain.text).toContain('Measured on 60 vectors of');
    const chained = (await registry.list()).find(({ kind }) => kind === 'chain');
    expect(chained).toMatchObject({ id: 'hash-32--hash-16--chain-1000', kind: 'chain', composedOf: ['a-b', 'b-c'] });
    // A map of random values keeps next to nothing: its measure is its own, not that of its parts, which are said to keep 0.93.
    expect(chained?.metrics).toMatchObject({ holdout: 60, queries: { source: 'titles of the texts' } });
    expect(chained?.metrics?.recallAt10.retention).toBeLessThan(0.6);
    const unmeasured = await adapter('compose', 'a-b', 'b-c', '--no-measure');
    expect(unmeasured.value).toMatchObject({ entry: { metrics: null }, where: undefined });
    expect(unmeasured.text).toContain(
      'It was not measured: what it loses is unknown, and nothing chooses it by itself.',
    );
  });

  test('measures a chain on no less than fifty texts', async () => {
    await writeFile(join(root, 'few.txt'), 'one\ntwo\nthree\n');
    const options = {
      dir,
      first: 'a-b',
      second: 'b-c',
      textFile: join(root, 'few.txt'),
      runtime: loadRuntimeSettings({}),
    };
    await expect(composeOnTexts(options)).rejects.toMatchObject({
      code: 'too_few_rows',
      message: expect.stringContaining('has 3 different texts to measure on, at least 50 are expected'),
    });
  });

  test.each([
    [[], 'adapter needs a subcommand: "reembed adapter --help" lists them.'],
    [['shw', 'a-b'], 'Did you mean show?'],
    [['export', 'a-b'], 'Missing required argument: output'],
    [['compose', 'a-b'], 'Not enough non-option arguments'],
  ])('refuses %j', async (args, message) => {
    await expect(adapter(...args)).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(message) });
  });
});
