import { expect, test } from 'vitest';
import { hashProvider } from '../../../src/providers/hash.ts';
import { embedder } from '../../../src/steps/adapter/embedder.ts';
import { makeTrainingData } from '../../../src/steps/adapter/training-data.ts';

test('few queries are for the report, and the kind is chosen by the own texts of what is kept apart', async () => {
  const messages: string[] = [];
  const onProgress = (event: object): void => {
    if ('message' in event) messages.push(String(event.message));
  };
  const texts = Array.from({ length: 90 }, (_, i) => ({
    ...{ id: String(i), text: `text number ${i}`, old: undefined, fresh: undefined, item: undefined },
  }));
  const asked = Array.from({ length: 12 }, (_, i) => ({ query: `number ${i}`, answers: [i] }));
  const [old, fresh] = ['hash/16', 'hash/8'].map((name) =>
    embedder(async () => hashProvider(name), { onProgress, signal: undefined }),
  );
  if (old === undefined || fresh === undefined) throw new Error('two models were expected');
  const options = { direction: 'document', holdout: 30, validation: 20, seed: 1, onProgress } as const;
  const data = await makeTrainingData({ texts, asked, source: 'q.jsonl' }, { old, fresh }, options);

  expect(data.holdout.queries).toMatchObject({
    source: 'q.jsonl',
    fresh: { rows: data.holdout.queries.answers.length },
  });
  expect(data.holdout.queries.answers.length).toBeGreaterThanOrEqual(8);
  expect(data.validation?.queries).toMatchObject({ source: "the rows' own texts", fresh: { rows: 20, columns: 8 } });
  expect(data.validation?.queries.answers).toEqual(Array.from({ length: 20 }, (_, row) => [row]));
  expect(messages).toContainEqual(expect.stringContaining('at least 10 are expected'));
});
