import { expect, test } from 'vitest';
import type { ProjectionEntry } from '../../../src/adapters/types.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import type { NamedEncoder } from '../../../src/search/active-model.ts';
import { adaptedEncoder, adaptedQueries } from '../../../src/search/adapted-encoder.ts';
import { cosine } from '../../../src/vector/math.ts';
import { knownEntry, knownProjection, knownSpaces, plainAdapter, widen } from '../../helpers/known-projection.ts';
import { refusalOf } from '../../helpers/refusal.ts';

const spaces = knownSpaces(32, 48);
const provider = hashProvider('hash/32');
const encoder: NamedEncoder = {
  model: provider.model,
  encodeTexts: async (texts, options) => (await provider.embed(texts, options)).vectors,
};

function adapterOf(direction: 'document' | 'query') {
  const entry: ProjectionEntry = {
    ...knownEntry(spaces, direction),
    id: `known-${direction}`,
    file: 'known.safetensors',
    sha256: '0'.repeat(64),
    createdAt: '2026-01-01T00:00:00.000Z',
  };
  return plainAdapter(entry, knownProjection(spaces, direction));
}

test("a model's queries come out in the other model's space, one vector a text, under the other model's name", async () => {
  const adapted = adaptedEncoder(encoder, adapterOf('query'));
  const texts = ['how large is the harbour', 'bread and flour', 'a third one'];
  const found = await adapted.encodeTexts(texts, { kind: 'query' });
  const { vectors } = await provider.embed(texts, { kind: 'query' });
  expect(found).toHaveLength(3);
  for (const [i, vector] of vectors.entries()) {
    expect(cosine(Float32Array.from(found[i] ?? []), widen(spaces, vector))).toBeGreaterThan(0.999999);
  }
  expect(adapted.model).toMatchObject({ provider: 'file', name: 'wide.json', dimensions: 48 });
  expect(await adapted.encodeTexts([], { kind: 'query' })).toEqual([]);
  const asProvider = await adaptedQueries(provider, adapterOf('query')).embed(texts, { kind: 'query' });
  expect(asProvider.vectors).toEqual(found);
  expect(asProvider.tokens).toBeGreaterThan(0);
});

test('a projection that begins elsewhere is refused with both spaces, and one the other way round by that name', async () => {
  const turned = await refusalOf(Promise.resolve().then(() => adaptedEncoder(encoder, adapterOf('document'))));
  expect(turned).toMatchObject({ code: 'spaces_differ', hint: expect.stringContaining('--direction query') });
  expect(turned.message).toContain('file wide.json (48 dimensions) to hash hash/32 (32 dimensions)');
  const other = hashProvider('hash/64');
  const elsewhere = await refusalOf(Promise.resolve().then(() => adaptedQueries(other, adapterOf('query'))));
  expect(elsewhere).toMatchObject({ code: 'spaces_differ', hint: expect.stringContaining('adapter list') });
  expect(elsewhere.message).toContain('hash hash/64 (64 dimensions)');
});

test('documents are refused: stored, nobody could tell mapped vectors from real ones', async () => {
  const adapted = adaptedEncoder(encoder, adapterOf('query'));
  await expect(adapted.encodeTexts(['a passage'], { kind: 'document' })).rejects.toMatchObject({
    code: 'queries_only',
  });
});

test('vectors of another size than the projection takes are refused, whatever the encoder says of itself', async () => {
  const lying: NamedEncoder = { ...encoder, encodeTexts: async () => [new Float32Array(31).fill(1)] };
  await expect(adaptedEncoder(lying, adapterOf('query')).encodeTexts(['x'], { kind: 'query' })).rejects.toMatchObject({
    code: 'dimensions_differ',
    message: expect.stringMatching(/32 dimensions.* 31/),
  });
});
