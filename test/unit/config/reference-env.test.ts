import { expect, test } from 'vitest';
import type { MigrationInput } from '../../../src/config/define-migration.ts';
import { overrideFromEnv } from '../../../src/config/reference-env.ts';

const reference: MigrationInput = {
  id: 'segments-bge-small',
  table: 'segments',
  text: 'text',
  column: 'embedding',
  model: 'BAAI/bge-small-en-v1.5',
  dimensions: 384,
  index: { kind: 'ivfflat' },
};

test('an empty environment leaves the reference case as it is pinned', () => {
  expect(overrideFromEnv(reference, {})).toMatchObject({
    ...reference,
    table: { schema: undefined, name: 'segments' },
    target: 'embedding_384',
    provider: 'local',
    index: { kind: 'ivfflat', lists: 'reference' },
  });
});

test('every variable of the reference guide overrides its setting', () => {
  const env = {
    EMBEDDING_MODEL: 'sentence-transformers/all-mpnet-base-v2',
    EMBEDDING_DIMENSIONS: '768',
    EMBEDDING_PROVIDER: 'local',
    EMBEDDING_OLD_PROVIDER: 'file',
    EMBEDDING_OLD_MODEL: 'legacy.f16',
    EMBEDDING_OLD_DIMENSIONS: '1536',
    REEMBED_TABLE: '"My Schema".docs',
    REEMBED_TEXT_COLUMN: 'body',
    REEMBED_COLUMN: 'vec',
    REEMBED_INDEX: 'hnsw',
    REEMBED_LISTS: '50',
    REEMBED_DISTANCE: 'l2',
    REEMBED_OLD_INDEX: 'drop',
    REEMBED_OLD_COLUMN: 'drop',
  };
  expect(overrideFromEnv(reference, env)).toMatchObject({
    table: { schema: 'My Schema', name: 'docs' },
    text: 'body',
    column: 'vec',
    target: 'vec_768',
    provider: 'local',
    model: 'sentence-transformers/all-mpnet-base-v2',
    dimensions: 768,
    index: { kind: 'hnsw', lists: 50, distance: 'l2' },
    oldIndex: 'drop',
    oldColumn: 'drop',
    from: { provider: 'file', model: 'legacy.f16', dimensions: 1536 },
  });
  expect(overrideFromEnv(reference, { ...env, REEMBED_TARGET_COLUMN: 'fresh' }).target).toBe('fresh');
  const expression = `coalesce(title, '') || body`;
  expect(overrideFromEnv(reference, { REEMBED_TEXT_EXPRESSION: expression }).text).toEqual({ expression });
});

test('a hash model brings its provider and its dimensions with its name', () => {
  const definition = overrideFromEnv(reference, { EMBEDDING_MODEL: 'hash/64', EMBEDDING_OLD_MODEL: 'hash/1536' });
  expect(definition).toMatchObject({ provider: 'hash', dimensions: 64, target: 'embedding_64' });
  expect(definition.from).toEqual({ provider: 'hash', model: 'hash/1536', dimensions: 1536 });
});

test.each([
  [{ REEMBED_INDEX: 'flat', REEMBED_LISTS: '0' }, ['REEMBED_INDEX is "flat"', 'REEMBED_LISTS is "0"']],
  [{ EMBEDDING_OLD_DIMENSIONS: '1536' }, ['EMBEDDING_OLD_MODEL is missing']],
  [{ EMBEDDING_OLD_MODEL: 'gte' }, ['EMBEDDING_OLD_DIMENSIONS is missing, expected the dimensions of gte']],
  [{ REEMBED_TABLE: 'a.b.c' }, ['table is "a.b.c"']],
  [
    { REEMBED_TEXT_COLUMN: 'body', REEMBED_TEXT_EXPRESSION: 'title || body' },
    ['REEMBED_TEXT_EXPRESSION is set beside REEMBED_TEXT_COLUMN, expected one of the two'],
  ],
])('%j is refused by name', (env, messages) => {
  for (const message of messages) expect(() => overrideFromEnv(reference, env)).toThrow(message);
});
