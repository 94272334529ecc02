import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { encodeBatch } from '../src/models/encode-batch.ts';
import { type LocalModel, openLocalModel } from '../src/models/local-model.ts';
import { openSession } from '../src/models/session.ts';
import type { TokenizedText } from '../src/models/tokenizer.ts';
import { localProvider } from '../src/providers/local.ts';
import { readLines } from '../src/providers/read-lines.ts';

/** Texts a second of two ways to use one model, measured by turns in the same process. */
interface Way {
  readonly name: string;
  run(texts: readonly string[]): Promise<void>;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'sentence-transformers/all-MiniLM-L6-v2' },
    texts: { type: 'string', default: '400' },
    repeats: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});
const path = positionals[0] ?? 'examples/postgres-docs/passages.jsonl';
if (!existsSync(path)) {
  console.error(`${path} does not exist. Usage: bench/encode.ts [texts.jsonl] [--model …] [--texts 400] [--repeats 5]`);
  process.exit(2);
}

const texts = await readTexts(path, Number(values.texts));
const model = await openLocalModel(values.model, { device: 'cpu', threads: Number(values.threads) });
const ways = [await arrivalOrder(model), pooled(model)];
const seconds = await measure(ways, texts, Number(values.repeats));
report(
  seconds,
  texts.length,
  (await tokenize(model, texts)).reduce((sum, { ids }) => sum + ids.length, 0),
);
await model.pool.close();
process.exit(0);

async function readTexts(file: string, limit: number): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const line of readLines(file)) {
    const { text }: { text?: unknown } = JSON.parse(line.text);
    if (typeof text === 'string') found.push(text);
    if (found.length === limit) break;
  }
  return found;
}

function tokenize({ tokenizer }: LocalModel, batch: readonly string[]): Promise<readonly TokenizedText[]> {
  return tokenizer.tokenize(batch);
}

/** What a simple loop does: 32 texts as they come, padded to the longest, in one session of this thread. */
async function arrivalOrder(opened: LocalModel): Promise<Way> {
  const { files, config, tokenizer } = opened;
  const session = await openSession({
    graph: files.graph,
    device: 'cpu',
    dtype: files.dtype,
    graphOptimizationLevel: files.manifest?.session?.graphOptimizationLevel,
    output: files.manifest?.output,
    threads: Number(values.threads),
  });
  const setup = { pooling: config.pooling, normalize: config.normalize, padId: tokenizer.padId };
  return {
    name: `arrival order, batches of 32, one session of ${values.threads} threads`,
    run: async (all) => {
      for (let start = 0; start < all.length; start += 32) {
        const batch = await tokenize(opened, all.slice(start, start + 32));
        const lengths = Int32Array.from(batch, ({ ids }) => ids.length);
        const ids = Int32Array.from(batch.flatMap((text) => [...text.ids]));
        await encodeBatch(session, setup, { ids, lengths });
      }
    },
  };
}

function pooled(opened: LocalModel): Way {
  const provider = localProvider(values.model, opened);
  return {
    name: `reembed: sorted by length, 512 tokens, ${opened.threads} threads of one session each`,
    run: async (all) => {
      await provider.embed(all, { kind: 'document' });
    },
  };
}

/** Seconds of each repeat by way; the ways take turns, so that a slow minute of the machine hits all of them. */
async function measure(
  compared: readonly Way[],
  all: readonly string[],
  repeats: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const times = new Map<string, number[]>(compared.map(({ name }) => [name, []]));
  for (const way of compared) await way.run(all.slice(0, 64));
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const way of repeat % 2 === 0 ? compared : [...compared].reverse()) {
      const start = performance.now();
      await way.run(all);
      times.get(way.name)?.push((performance.now() - start) / 1000);
    }
  }
  return times;
}

function report(times: ReadonlyMap<string, readonly number[]>, count: number, tokens: number): void {
  const base = median([...times.values()][0] ?? []);
  console.log(`${values.model} (${model.files.dtype}), ${count} texts, ${(tokens / count).toFixed(0)} tokens a text,`);
  console.log(
    `${availableParallelism()} cores, ${values.repeats} repeats by turns; medians, in brackets slowest and fastest.\n`,
  );
  console.log('| way | texts/s | tokens/s | ratio |\n|---|---|---|---|');
  for (const [name, runs] of times) {
    const middle = median(runs);
    const [slowest, fastest] = [count / Math.max(...runs), count / Math.min(...runs)].map((rate) => rate.toFixed(0));
    const rates = `${(count / middle).toFixed(0)} (${slowest}–${fastest}) | ${(tokens / middle).toFixed(0)}`;
    console.log(`| ${name} | ${rates} | ${(base / middle).toFixed(2)} |`);
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
}
