import { describe, expect, test } from 'vitest';
import { defineMigration, type MigrationInput } from '../../../src/config/define-migration.ts';
import { ConfigError } from '../../../src/errors.ts';

const minimal: MigrationInput = {
  id: 'segments-bge-small',
  table: 'segments',
  text: 'text',
  column: 'embedding',
  model: 'BAAI/bge-small-en-v1.5',
  dimensions: 384,
};

function failure(input: unknown): ConfigError {
  try {
    defineMigration(input as MigrationInput);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('defineMigration', () => {
  test('fills in the documented defaults', () => {
    expect(defineMigration(minimal)).toEqual({
      ...minimal,
      table: { schema: undefined, name: 'segments' },
      target: 'embedding_384',
      provider: 'local',
      revision: undefined,
      vectorType: 'vector',
      index: {
        kind: undefined,
        lists: 'reference',
        m: undefined,
        efConstruction: undefined,
        quantization: 'none',
        distance: undefined,
      },
      oldIndex: 'keep',
      oldColumn: 'keep',
      retentionDays: 7,
      userTriggers: 'refuse',
      recreateViews: false,
      from: undefined,
    });
  });

  test('takes a checked definition again and gives it back equal', () => {
    const once = defineMigration({
      ...minimal,
      table: '"My Schema"."a.b"',
      from: { model: 'hash/1536', dimensions: 1536 },
    });
    expect(defineMigration(once)).toEqual(once);
  });

  test.each([
    [{ expression: ' ' }, 'text.expression is " ", expected an SQL expression over columns of the table'],
    [{ expression: 'title', column: 'body' }, 'text.column is not a setting that is known here'],
    [7, "text is 7, expected a column's name, or { expression: '…' } over several columns"],
  ])('refuses the text %j by name', (text, message) => {
    expect(failure({ ...minimal, text }).message).toContain(message);
    const expression = `coalesce(title, '')`;
    expect(defineMigration({ ...minimal, text: { expression } }).text).toEqual({ expression });
  });

  test.each([
    ['segments', undefined, 'segments'],
    ['Segments', undefined, 'Segments'],
    ['my table', undefined, 'my table'],
    ['app.segments', 'app', 'segments'],
    ['"My Schema"."My.Table"', 'My Schema', 'My.Table'],
    ['app."say ""hi"""', 'app', 'say "hi"'],
  ])('reads the table %s', (table, schema, name) => {
    expect(defineMigration({ ...minimal, table }).table).toEqual({ schema, name });
  });

  test.each(['', '.', 'a.', '.a', 'a.b.c', '"a', '"a"b', 'a"b', '"".a', '"a".', 'x'.repeat(64)])(
    'refuses the table %j',
    (table) => {
      expect(failure({ ...minimal, table }).message).toContain('\n  table is ');
    },
  );

  test('reads the provider from the name of the model', () => {
    expect(defineMigration({ ...minimal, model: 'hash/384' }).provider).toBe('hash');
    const from = { model: 'hash/1536', dimensions: 1536 };
    expect(defineMigration({ ...minimal, from }).from).toEqual({ ...from, provider: 'hash' });
    expect(defineMigration({ ...minimal, provider: 'file', model: 'vectors.jsonl' }).provider).toBe('file');
  });

  test('names every problem at once, each with what was expected', () => {
    const error = failure({
      id: 'Segments!',
      text: '',
      column: '"embedding"',
      model: 'm',
      dimensions: 384.5,
      index: { kind: 'flat', probes: 3 },
      retentionDays: -1,
      oldIndexes: 'drop',
    });
    expect(error.code).toBe('config_invalid');
    expect(error.message).toMatch(/^The migration "Segments!" has 9 problems:\n/);
    expect(error.message).toContain('  id is "Segments!", expected 1 to 40 of a-z');
    expect(error.message).toContain(`  table is missing, expected 'segments', 'app.segments'`);
    expect(error.message).toContain('  text is empty');
    expect(error.message).toContain('  column is "\\"embedding\\"", expected the name as it is stored, without quotes');
    expect(error.message).toContain('  dimensions is 384.5, expected a whole number from 1 to 16000');
    expect(error.message).toContain(`  index.kind is "flat", expected 'ivfflat' or 'hnsw' or 'none'`);
    expect(error.message).toContain('  index.probes is not a setting');
    expect(error.message).toContain('  retentionDays is -1');
    expect(error.message).toContain('  oldIndexes is not a setting');
  });

  test.each([
    [{ target: 'embedding' }, 'target is "embedding", expected text, column and target to be three columns'],
    [{ column: 'x'.repeat(60) }, 'longer than 63 bytes'],
    [{ dimensions: 3072 }, "expected at most 2000 for an index on vector; else vectorType 'halfvec'"],
    [
      { dimensions: 5000, vectorType: 'halfvec' },
      "expected at most 4000 for an index on halfvec; else index kind 'none'",
    ],
    [{ model: 'hash/768' }, 'dimensions is 384, expected 768 as in the model hash/768'],
    [{ model: 'hash/384', provider: 'local' }, "provider is 'local', expected 'hash' for the model hash/384"],
    [{ provider: 'hash' }, "expected hash/<dimensions> for the provider 'hash'"],
    [{ from: { model: 'hash/9', dimensions: 8 } }, 'from.dimensions is 8, expected 9'],
  ])('refuses the contradiction %j', (change, message) => {
    expect(failure({ ...minimal, ...change }).message).toContain(message);
  });

  test('lets many dimensions pass where nothing is indexed', () => {
    expect(defineMigration({ ...minimal, dimensions: 3072, index: { kind: 'none' } }).dimensions).toBe(3072);
    expect(defineMigration({ ...minimal, dimensions: 3072, vectorType: 'halfvec' }).target).toBe('embedding_3072');
  });

  test.each([undefined, null, 'segments', 7])('refuses %j as a migration', (input) => {
    expect(failure(input).message).toContain('expected an object with id, table, text, column, model and dimensions');
  });
});
