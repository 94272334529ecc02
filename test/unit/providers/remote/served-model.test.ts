import { describe, expect, test } from 'vitest';
import { findKnownModel } from '../../../../src/models/known-models.ts';
import { servedMaxTokens, servedModel } from '../../../../src/providers/remote/served-model.ts';

const SERVED = {
  'nomic-ai/nomic-embed-text-v1.5': ['nomic-embed-text', 'nomic-embed-text:v1.5', 'ollama/nomic-embed-text'],
  'google/embeddinggemma-300m': ['embeddinggemma', 'embeddinggemma:300m', 'google/embeddinggemma-300m'],
  'sentence-transformers/all-MiniLM-L6-v2': ['all-minilm', 'all-minilm:l6-v2'],
};

describe('a model that runs here and is served too', () => {
  test.each(Object.entries(SERVED))(
    '%s is asked with the same prefixes and limit by each of its names',
    (name, names) => {
      const known = findKnownModel([name]);
      for (const model of names) {
        const served = servedModel({ provider: 'openai', model, dimensions: 384 }, { sendDimensions: false });
        expect(served).toMatchObject({ prefixes: known?.prefixes, maxTokens: known?.maxTokens, normalize: true });
        expect(servedMaxTokens(model)).toBe(known?.maxTokens);
      }
    },
  );
});
