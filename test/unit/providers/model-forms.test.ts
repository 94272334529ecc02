import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Dtype } from '../../../src/config/types.ts';
import {
  embeddedTokens,
  expectClose,
  expectedVector,
  type Fixture,
  meanOf,
  randomModel,
  unit,
  withProvider,
} from './random-model-fixture.ts';

const texts = ['rows', 'a longer text about vacuum and dead rows'];

async function embed(fixture: Fixture, dtype?: Dtype): Promise<readonly Float32Array[]> {
  const { vectors } = await withProvider(fixture, { dtype }, (provider) => provider.embed(texts, { kind: 'document' }));
  return vectors;
}

async function meanVector(fixture: Fixture, text: string): Promise<number[]> {
  return unit(meanOf(await embeddedTokens(fixture, text)));
}

async function expectAll(
  vectors: readonly Float32Array[],
  expected: (text: string) => Promise<readonly number[]>,
): Promise<void> {
  for (const [index, text] of texts.entries()) expectClose(vectors[index], await expected(text));
}

describe('the output is chosen by its name, not by its place', () => {
  test('sentence_embedding goes before token states', async () => {
    const fixture = await randomModel({ outputs: ['last_hidden_state', 'pooler_output', 'sentence_embedding'] });
    await expectAll(await embed(fixture), (text) => meanVector(fixture, text));
  });

  test('last_hidden_state goes before pooler_output and token_embeddings', async () => {
    const fixture = await randomModel({ outputs: ['pooler_output', 'token_embeddings', 'last_hidden_state'] });
    await expectAll(await embed(fixture), (text) => expectedVector(fixture, text, 'cls'));
  });

  test('token_embeddings are pooled like states', async () => {
    const fixture = await randomModel({ outputs: ['pooler_output', 'token_embeddings'] });
    await expectAll(await embed(fixture), async (text) =>
      (await expectedVector(fixture, text, 'cls')).map((value) => -value),
    );
  });

  test('pooler_output is taken where there is nothing else', async () => {
    const fixture = await randomModel({ outputs: ['pooler_output'] });
    await expectAll(await embed(fixture), async (text) =>
      unit(meanOf(await embeddedTokens(fixture, text)).map((value) => Math.tanh(value))),
    );
  });

  test('a graph that classifies is refused: its output is no embedding', async () => {
    await expect(embed(await randomModel({ outputs: ['logits'] }))).rejects.toMatchObject({
      code: 'graph_invalid',
      message: expect.stringMatching(/has none of sentence_embedding, .* among its outputs; it has logits\.$/),
    });
  });
});

describe('optional inputs are fed only where the graph has them', () => {
  test('a graph without token_type_ids runs', async () => {
    const fixture = await randomModel({ inputs: ['input_ids', 'attention_mask'] });
    await expectAll(await embed(fixture), (text) => expectedVector(fixture, text, 'cls'));
  });

  test('position_ids count each text from 0', async () => {
    const inputs = ['position_ids', 'attention_mask', 'token_type_ids', 'input_ids'];
    const fixture = await randomModel({ inputs, pooling: 'lasttoken' });
    await expectAll(await embed(fixture), async (text) => {
      const embedded = await embeddedTokens(fixture, text);
      const context = meanOf(embedded);
      const last = embedded.at(-1)?.map((value, i) => value + (context[i] ?? 0) + embedded.length - 1);
      return unit(last ?? []);
    });
  });

  test('an input that no text encoder has is refused by its name', async () => {
    const fixture = await randomModel({ inputs: ['input_ids', 'attention_mask', 'pixel_values'] });
    await expect(embed(fixture)).rejects.toMatchObject({
      code: 'graph_invalid',
      message: expect.stringContaining('wants pixel_values'),
    });
  });
});

describe('the graph is found under the names that exports give it', () => {
  test.each([
    ['model.onnx', 'fp32'],
    ['onnx/model.onnx', 'fp32'],
    ['model_fp16.onnx', 'fp16'],
    ['onnx/model_fp16.onnx', 'fp16'],
    ['model_int8.onnx', 'int8'],
    ['onnx/model_int8.onnx', 'int8'],
    ['model_quantized.onnx', 'int8'],
    ['onnx/model_quantized.onnx', 'int8'],
  ] as const)('%s is %s', async (graph, dtype) => {
    const fixture = await randomModel({ graph });
    for (const asked of [undefined, dtype]) {
      await withProvider(fixture, { dtype: asked }, async ({ model }) => {
        expect(model.dtype).toBe(dtype);
        expect(Object.keys(model.files)).toContain(graph);
      });
    }
    await expectAll(await embed(fixture, dtype), (text) => expectedVector(fixture, text, 'cls'));
  });

  test('of several the one that was asked for', async () => {
    const fixture = await randomModel({ graph: 'onnx/model.onnx' });
    await writeFile(join(fixture.directory, 'onnx', 'model_quantized.onnx'), 'not a graph');
    await expectAll(await embed(fixture), (text) => expectedVector(fixture, text, 'cls'));
    await expect(embed(fixture, 'int8')).rejects.toMatchObject({ message: expect.stringContaining('model_quantized') });
    await expect(embed(fixture, 'fp16')).rejects.toMatchObject({ code: 'dtype_missing' });
  });

  test('half-precision outputs are read as such', async () => {
    const fixture = await randomModel({ graph: 'onnx/model_fp16.onnx', half: true });
    const vectors = await embed(fixture, 'fp16');
    for (const [index, text] of texts.entries())
      expectClose(vectors[index], await expectedVector(fixture, text, 'cls'), 3);
  });
});
