import { readPassages } from '../../src/cli/demo/demo-files.ts';
import { createProvider } from '../../src/providers/create-provider.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import type { NamedEncoder } from '../../src/search/active-model.ts';
import { vectorLiteral } from '../../src/search/vector-literal.ts';
import { embedPending } from '../../src/steps/embed-pending.ts';
import { expand } from '../../src/steps/expand.ts';
import { withLease } from '../../src/steps/with-lease.ts';
import { type Chain, openChain } from './chain.ts';

const MODEL = 'sentence-transformers/all-MiniLM-L6-v2';
const OLD = { provider: 'file', model: 'examples/postgres-docs/vectors.json', dimensions: 1536 } as const;

/** Passages of the manual with the vectors of an older model; titles are questions whose passages are known. */
export interface ManualBed {
  readonly chain: Chain;
  readonly context: () => ReturnType<Chain['context']>;
  readonly passages: readonly { readonly key: string; readonly title: string; readonly text: string }[];
  readonly old: NamedEncoder;
  /** Embeds each text once, however often it is asked. */
  readonly new: NamedEncoder;
  /** The same models. */
  readonly providers: {
    readonly old: () => Promise<EmbeddingProvider>;
    readonly new: () => Promise<EmbeddingProvider>;
  };
  /** 005 and 006. */
  fill(): Promise<void>;
  /** Some rows are as 006 has not come to them yet: those for which the SQL holds. */
  unfill(where: string): Promise<void>;
  close(): Promise<void>;
}

export async function openManualBed(rows: number): Promise<ManualBed> {
  const chain = await openChain();
  const all = await readPassages('examples/postgres-docs/passages.jsonl');
  const passages = all.slice(0, rows).map(({ title, text }, i) => ({ key: String(i + 1), title, text }));
  const [oldProvider, newProvider] = await Promise.all([
    createProvider(OLD),
    createProvider({ provider: 'local', model: MODEL, dimensions: 384 }),
  ]);
  const remembered = rememberAll(newProvider);
  await makeTable(chain, passages, oldProvider);
  const context = () => chain.context({ model: MODEL, index: { kind: 'hnsw' } });
  return {
    chain,
    context,
    passages,
    old: encoderOf(oldProvider),
    new: encoderOf(remembered),
    providers: { old: async () => oldProvider, new: async () => remembered },
    async fill() {
      await expand(context());
      const provider = { get: async () => remembered, close: async () => undefined };
      await withLease(context(), 'fill', ({ ctx, lease }) => embedPending(ctx, lease, provider));
    },
    async unfill(where) {
      const nulls = ['', '_model', '_hash', '_at'].map((part) => `embedding_384${part} = NULL`);
      await chain.db.query(`UPDATE segments SET ${nulls.join(', ')} WHERE ${where}`);
    },
    async close() {
      await Promise.all([oldProvider.close(), newProvider.close()]);
      await chain.close();
    },
  };
}

async function makeTable(chain: Chain, passages: ManualBed['passages'], old: EmbeddingProvider): Promise<void> {
  const { vectors } = await old.embed(
    passages.map(({ text }) => text),
    { kind: 'document' },
  );
  await chain.db.query('CREATE TABLE segments (id bigint PRIMARY KEY, title text, text text, embedding vector(1536))');
  await chain.db.query(
    `INSERT INTO segments SELECT n, p ->> 'title', p ->> 'text', (p ->> 'vector')::vector
     FROM json_array_elements($1::json) WITH ORDINALITY u(p, n)`,
    [JSON.stringify(passages.map((passage, i) => ({ ...passage, vector: vectorLiteral(vectors[i] ?? []) })))],
  );
  await chain.db.query('CREATE INDEX segments_ann ON segments USING hnsw (embedding vector_cosine_ops)');
  await chain.db.query('ANALYZE segments');
}

function rememberAll(provider: EmbeddingProvider): EmbeddingProvider {
  const kept = new Map<string, Float32Array>();
  return {
    ...provider,
    async embed(texts, options) {
      const missing = [...new Set(texts.filter((text) => !kept.has(text)))];
      const made = missing.length === 0 ? [] : (await provider.embed(missing, options)).vectors;
      for (const [i, text] of missing.entries()) kept.set(text, made[i] ?? new Float32Array(0));
      return { vectors: texts.map((text) => kept.get(text) ?? new Float32Array(0)), tokens: 0, truncated: 0 };
    },
  };
}

function encoderOf(provider: EmbeddingProvider): NamedEncoder {
  return {
    model: provider.model,
    encodeTexts: async (texts, options) => (await provider.embed(texts, options)).vectors,
  };
}
