import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeId, nextPrefixes } from '../../../src/steps/init/file-names.ts';
import { init } from '../../../src/steps/init/init.ts';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'reembed-init-'));
});
afterEach(() => rm(cwd, { recursive: true }));

const SEGMENTS = {
  table: 'app.segments',
  text: 'text',
  column: 'embedding',
  model: 'BAAI/bge-small-en-v1.5',
} as const;
const put = (path: string, content: string): void => writeFileSync(join(cwd, path), content);
const read = (path: string): string => readFileSync(join(cwd, path), 'utf8');

describe('init', () => {
  it('continues the numbers of a CommonJS project, and writes what its Node can load', async () => {
    mkdirSync(join(cwd, 'migrations'));
    for (const name of ['001_create.js', '009_more.js']) put(`migrations/${name}`, '');
    const result = await init({ ...SEGMENTS, cwd });
    expect(result).toEqual({
      id: 'segments-bge-small-en-v1-5',
      files: [
        'reembed.config.js',
        'migrations/010_add_embedding_384.js',
        'migrations/011_backfill_embedding_384.js',
        'migrations/012_swap_embedding_384.js',
      ],
      next: ['npx reembed doctor', 'npx reembed plan', 'npx knex migrate:latest'],
    });
    expect(read('reembed.config.js')).toBe(
      `const { defineMigration } = require('reembed');

module.exports = defineMigration({
  id: 'segments-bge-small-en-v1-5',
  table: 'app.segments',
  text: 'text',
  column: 'embedding',
  model: 'BAAI/bge-small-en-v1.5',
  dimensions: 384,
});
`,
    );
    expect(read('migrations/012_swap_embedding_384.js')).toBe(
      `module.exports = require('reembed/migrations').swapEmbedding(require('../reembed.config.js'));\n`,
    );
  });

  it('writes TypeScript with names that order behind knex’s, and a fourth migration when asked', async () => {
    put('tsconfig.json', '{}');
    const { files } = await init({ ...SEGMENTS, cwd, directory: 'db/migrations', dropOld: true });
    expect(files).toEqual([
      'reembed.config.ts',
      expect.stringMatching(/^db\/migrations\/\d{14}_add_embedding_384\.ts$/),
      expect.stringMatching(/_backfill_embedding_384\.ts$/),
      expect.stringMatching(/_swap_embedding_384\.ts$/),
      expect.stringMatching(/_drop_old_embedding_384\.ts$/),
    ]);
    expect([...files.slice(1)].sort()).toEqual(files.slice(1));
    // Without tsx the name is taken as it stands.
    expect(read(files[1] ?? '')).toBe(
      `import { addEmbedding } from 'reembed/migrations';
import migration from '../../reembed.config.ts';

export const { up, down, config } = addEmbedding(migration);
`,
    );
  });

  it('never writes over a file, and leaves nothing half written', async () => {
    put('package.json', '{ "type": "module" }');
    await init({ ...SEGMENTS, cwd });
    const before = readdirSync(cwd, { recursive: true });
    await expect(init({ ...SEGMENTS, cwd })).rejects.toMatchObject({
      code: 'config_exists',
      message: 'reembed.config.js is there already and is not written over.',
    });
    expect(readdirSync(cwd, { recursive: true })).toEqual(before);
  });

  it('names at once all that it is not told', async () => {
    await expect(init({ cwd, model: 'someone/unknown' })).rejects.toMatchObject({
      name: 'ConfigError',
      context: {
        problems: ['--table', '--column', '--text', '--dimensions'].map((name) => expect.objectContaining({ name })),
      },
    });
    expect(readdirSync(cwd)).toEqual([]);
  });

  it('refuses what the configuration would refuse, before a file is written', async () => {
    await expect(init({ ...SEGMENTS, cwd, id: 'Not An Id' })).rejects.toMatchObject({ code: 'config_invalid' });
    expect(readdirSync(cwd)).toEqual([]);
  });
});

it.each([
  [[], ['20260102030405', '20260102030406']],
  [['20240101000000_a.ts'], ['20260102030405', '20260102030406']],
  // The clock of whoever wrote the last one was ahead.
  [['20270101000000_a.ts'], ['20270101000001', '20270101000002']],
  [
    ['7_a.js', '12_b.js'],
    ['13', '14'],
  ],
  [['0099_a.js'], ['0100', '0101']],
])('migrations after %j begin with %j', (existing, expected) => {
  expect(nextPrefixes(existing, 2, new Date('2026-01-02T03:04:05Z'))).toEqual(expected);
});

it('makes ids that the configuration takes, none of them twice', () => {
  expect(makeId(['Seg ments', 'text-embedding-3-small'])).toBe('seg-ments-text-embedding-3-small');
  expect(makeId(['a'.repeat(50)], ['a'.repeat(40)])).toBe(`${'a'.repeat(38)}-2`);
  expect(makeId(['x', 'back'], ['x-back'])).toBe('x-back-2');
});
