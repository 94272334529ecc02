import { defineMigration, type MigrationInput } from '../../../src/config/define-migration.ts';
import type { PlanFacts } from '../../../src/plan/facts.ts';
import type { PlanInputs, TextSample } from '../../../src/plan/inputs.ts';
import { makePlan } from '../../../src/plan/make-plan.ts';
import type { MigrationPlan } from '../../../src/plan/types.ts';

export const OLD_INDEX = {
  name: 'idx_segments_text_embedding_ivfflat',
  method: 'ivfflat' as const,
  definition:
    "CREATE INDEX idx_segments_text_embedding_ivfflat ON public.segments USING ivfflat (embedding vector_cosine_ops) WITH (lists='100')",
};

/** A table of 100,000 rows with old vectors of 1,536 dimensions. */
export function factsOf(changes: Partial<PlanFacts> = {}): PlanFacts {
  return {
    table: {
      schema: 'public',
      name: 'segments',
      key: [{ name: 'id', type: 'bigint' }],
      indexes: [],
      columns: [
        { name: 'id', type: 'bigint', dimensions: null },
        { name: 'text', type: 'text', dimensions: null },
        { name: 'embedding', type: 'vector(1536)', dimensions: 1536 },
      ],
    },
    extension: { schema: 'public', version: '0.8.0' },
    rowsEstimate: 100_000,
    rowsCounted: false,
    tableBytes: 900_000_000,
    indexBytes: 800_000_000,
    oldDimensions: 1536,
    annIndexes: [OLD_INDEX],
    oldDistance: 'cosine',
    ...changes,
  };
}

export function planOf(
  changes: Partial<PlanFacts> = {},
  input: Partial<MigrationInput> = {},
  inputs: PlanInputs = {},
): MigrationPlan {
  const definition = defineMigration({
    id: 'segments-bge',
    table: 'segments',
    text: 'text',
    column: 'embedding',
    model: 'BAAI/bge-small-en-v1.5',
    dimensions: 384,
    ...input,
  });
  return makePlan(factsOf(changes), definition, 'reembed', inputs);
}

/** Texts of 100 tokens and 400 bytes. */
export function sampleOf(texts = 100, changes: Partial<TextSample> = {}): TextSample {
  return {
    texts: Array.from({ length: texts }, (_, page) => ({ page, bytes: 400, tokens: 100 })),
    tokenizer: 'the tokenizer of the test',
    maxTokens: 512,
    ...changes,
  };
}
