import { describe, expect, test } from 'vitest';
import { chooseProjection, describeWish, noProjection, type ProjectionWish } from '../../../src/adapters/choose.ts';
import type { NewEntry } from '../../../src/adapters/entry-schema.ts';
import { compareSpaces, type WantedSpace } from '../../../src/adapters/same-space.ts';
import type { ProjectionEntry } from '../../../src/adapters/types.ts';
import { measures, newEntry, space } from './sample-projection.ts';

const OLD = space('legacy', 1536);
const NEW = space('MiniLM', 384, { files: { 'model.onnx': 'aa' }, dtype: 'int8', pooling: 'mean' });
const MIDDLE = space('bge', 768);
const WISH: ProjectionWish = { source: OLD, target: NEW, direction: 'document' };

function entry(id: string, more: Partial<NewEntry> = {}): ProjectionEntry {
  const given = newEntry({ source: OLD, target: NEW, ...more });
  return { ...given, id, file: `${id}.safetensors`, sha256: '', createdAt: '2026-01-01T00:00:00.000Z' };
}

describe('the projection that is chosen', () => {
  test('is the one whose lower end of Recall@10 is highest, then the one of more samples', () => {
    const samples = { training: 2000, validation: 0, holdout: 500 };
    const entries = [
      entry('a', { metrics: measures(0.9) }),
      entry('wide', { metrics: { ...measures(0.8), recallAt10: { ...measures(0.8).recallAt10, retention: 0.99 } } }),
      entry('b', { metrics: measures(0.9), samples }),
      entry('unmeasured', { metrics: undefined, samples: { ...samples, training: 9000 } }),
    ];
    const { best, fitting } = chooseProjection(entries, WISH);
    expect(best?.id).toBe('b');
    expect(fitting.map(({ id }) => id)).toEqual(['b', 'a', 'wide']);
  });

  test('maps between these models and in this direction', () => {
    const entries = [
      entry('other-source', { source: space('ada', 1536) }),
      entry('other-size', { source: space('legacy', 1024) }),
      entry('query', { direction: 'query' }),
      entry('other-precision', { target: space('MiniLM', 384, { files: { 'model.onnx': 'aa' }, dtype: 'fp32' }) }),
      entry('other-files', { target: space('MiniLM', 384, { files: { 'model.onnx': 'bb' } }) }),
      entry('unknown-source', { source: { fingerprint: {}, reference: undefined, dimensions: 1536 } }),
    ];
    const choice = chooseProjection(entries, WISH);
    expect(choice).toMatchObject({ best: undefined, fitting: [], chains: [] });
    expect(choice.unsure.map(({ id }) => id)).toEqual(['unknown-source']);
    expect(chooseProjection(entries, { ...WISH, direction: 'query' }).best?.id).toBe('query');
  });

  test('is never a chain: two that lead there are offered, with the command that measures them', () => {
    const parts = [
      entry('b-c', { source: MIDDLE, target: NEW }),
      entry('a-b', { target: MIDDLE }),
      entry('a-b-better', { target: MIDDLE, metrics: measures(0.95) }),
      entry('a-b-query', { target: MIDDLE, direction: 'query' }),
    ];
    const choice = chooseProjection(parts, WISH);
    expect(choice.best).toBeUndefined();
    expect(choice.chains.map(({ command }) => command)).toEqual([
      'reembed adapter compose a-b-better b-c',
      'reembed adapter compose a-b b-c',
    ]);
    expect(noProjection(WISH, choice, 'here').hint).toContain('reembed adapter compose a-b-better b-c');
    expect(chooseProjection([...parts, entry('direct')], WISH).chains).toEqual([]);
  });

  test('is missed by its dimensions, with the command that trains it', () => {
    const wish: ProjectionWish = { source: { dimensions: 1024 }, target: { dimensions: 1536 }, direction: 'document' };
    expect(describeWish(wish)).toBe('1024D → 1536D');
    expect(noProjection(wish, chooseProjection([], wish), 'projections')).toMatchObject({
      code: 'no_projection',
      message: 'No pre-trained projection found for 1024D → 1536D in projections.',
      hint: 'Train one with "reembed adapter train --samples 1000".',
    });
    const unsure = chooseProjection([entry('x', { source: space('m', 1024), target: space('n', 1536) })], wish);
    expect(noProjection(wish, unsure, 'projections').hint).toContain('x has these dimensions, but it is not known');
  });
});

describe('two spaces are', () => {
  const files = { 'model.onnx': 'aa', 'tokenizer.json': 'bb' };
  const known = (fingerprint: object, dimensions = 384): WantedSpace => ({
    fingerprint: { ...fingerprint },
    dimensions,
  });

  test.each<[string, WantedSpace, WantedSpace]>([
    [
      'the same where the files are, under another name and revision',
      known({ provider: 'local', name: 'a', files, revision: '1' }),
      known({
        provider: 'local',
        name: '/srv/a',
        revision: '2',
        files: Object.fromEntries(Object.entries(files).reverse()),
      }),
    ],
    [
      'the same where provider and name are all that is known of one',
      known({ provider: 'local', name: 'a', files, dtype: 'int8' }),
      known({ provider: 'local', name: 'a' }),
    ],
    [
      'the same where one is named as the other is configured',
      known({ provider: 'local', name: '/srv/a', configuredAs: 'a' }),
      { dimensions: 384, reference: { provider: 'local', model: 'a', dimensions: 384 } },
    ],
    [
      'the same where a file of vectors has grown',
      known({ provider: 'file', name: 'v.f16', files: { 'v.f16': '1' } }),
      known({ provider: 'file', name: 'v.f16', files: { 'v.f16': '2' } }),
    ],
  ])('%s', (_, a, b) => {
    expect(compareSpaces(a, b)).toEqual({ fit: 'same' });
    expect(compareSpaces(b, a)).toEqual({ fit: 'same' });
  });

  test.each<[string, WantedSpace, WantedSpace]>([
    ['dimensions', known({ name: 'a' }), known({ name: 'a' }, 768)],
    ['dtype', known({ name: 'a', files, dtype: 'int8' }), known({ name: 'a', files, dtype: 'fp32' })],
    ['prefixes', known({ name: 'a', prefixes: { query: 'q: ' } }), known({ name: 'a', prefixes: { query: '' } })],
    ['files', known({ name: 'a', files }), known({ name: 'a', files: { ...files, 'model.onnx': 'cc' } })],
    ['revision', known({ name: 'a', revision: '1' }), known({ name: 'a', revision: '2' })],
    ['provider', known({ name: 'a', provider: 'tei' }), known({ name: 'a', provider: 'local' })],
    ['b', known({ name: 'a' }), known({ name: 'b' })],
  ])('others where they differ in %s', (what, a, b) => {
    expect(compareSpaces(a, b)).toEqual({ fit: 'other', difference: expect.stringContaining(what) });
  });
});
