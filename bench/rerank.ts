// Pairs a second of a cross-encoder: sorted by length as reembed runs them, in the order in which they come, and one pair a call. Without
// --model the graph is of the shape of ms-marco-MiniLM-L6-v2 with random weights: its scores mean nothing, its arithmetic is the model's.
//   npx tsx bench/rerank.ts [--model <name or directory>] [--pairs 200] [--queries 3] [--repeats 5]

import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readBenchTexts } from '../src/bench/read-texts.ts';
import { type CrossEncoder, openCrossEncoder, scorePairs } from '../src/models/cross-encoder.ts';
import { encodeBatches } from '../src/models/encode-texts.ts';
import { type BertShape, encodeBertGraph } from './bert-graph.ts';
import { interleave, markdownTable, median } from './measure.ts';

const MINILM: BertShape = {
  vocabulary: 30_522,
  positions: 512,
  hidden: 384,
  intermediate: 1536,
  layers: 6,
  heads: 12,
};
const BATCH = 64;
const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    pairs: { type: 'string', default: '200' },
    queries: { type: 'string', default: '3' },
    repeats: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});

type Score = (encoder: CrossEncoder, query: string, texts: readonly string[]) => Promise<void>;

const read = await readBenchTexts(join(root, 'examples/postgres-docs/passages.jsonl'), Number(values.pairs));
const texts = read.map(({ text }) => text);
const queries = read.flatMap(({ title }) => title ?? []).slice(0, Number(values.queries));
if (values.model === undefined) {
  const directory = await mkdtemp(join(tmpdir(), 'reembed-rerank-'));
  await writeMinilmShape(directory);
  for (const dtype of ['fp32', 'int8'] as const) await measure(directory, 'the shape of ms-marco-MiniLM-L6-v2', dtype);
  await rm(directory, { recursive: true });
} else await measure(values.model, values.model, undefined);
process.exit(0);

async function measure(model: string, name: string, dtype: 'fp32' | 'int8' | undefined): Promise<void> {
  const encoder = await openCrossEncoder(model, { device: 'cpu', threads: Number(values.threads), dtype });
  await encoder.pool.openAll();
  const ways: Readonly<Record<string, Score>> = {
    'one pair a call': oneByOne,
    [`arrival order, batches of ${BATCH}`]: inArrivalOrder,
    'reembed: sorted by length': sorted,
  };
  for (const score of Object.values(ways)) await score(encoder, queries[0] ?? '', texts.slice(0, BATCH));
  const cpu = Object.fromEntries(Object.keys(ways).map((way): [string, number[]] => [way, []]));
  const measured = await interleave(
    Number(values.repeats),
    Object.entries(ways).map(([way, score]) => ({ name: way, run: () => rateOf(encoder, score, cpu[way] ?? []) })),
  );
  const pairs = await encoder.tokenizer.tokenize(queries[0] ?? '', texts);
  const tokens = pairs.reduce((sum, { ids }) => sum + ids.length, 0) / pairs.length;
  console.log(
    `\n${name} (${encoder.files.dtype}), ${queries.length} queries × ${texts.length} texts, ${tokens.toFixed(0)} tokens`,
  );
  console.log(
    `a pair in the mean, ${values.threads} threads, ${availableParallelism()} cores, ${values.repeats} repeats by turns.\n`,
  );
  console.log(markdownTable('pairs/s', Object.keys(ways)[0] ?? '', measured));
  for (const { name: way, rates } of measured) {
    const elapsed = Math.round((texts.length / median(rates)) * 1000);
    console.log(
      `\n${way}: ${elapsed} ms for ${texts.length} pairs, ${median(cpu[way] ?? []).toFixed(1)} ms of a core a pair`,
    );
  }
  await encoder.pool.close();
}

/** Pairs a second; what they took of the processors goes into `cpu`, in milliseconds a pair: that holds on a busy machine too. */
async function rateOf(encoder: CrossEncoder, score: Score, cpu: number[]): Promise<number> {
  const start = performance.now();
  const before = process.cpuUsage();
  for (const query of queries) await score(encoder, query, texts);
  const { user, system } = process.cpuUsage(before);
  const pairs = queries.length * texts.length;
  cpu.push((user + system) / 1000 / pairs);
  return pairs / ((performance.now() - start) / 1000);
}

async function oneByOne(encoder: CrossEncoder, query: string, all: readonly string[]): Promise<void> {
  for (const text of all) await scorePairs(encoder, query, [text], { batchSize: 1 });
}

/** Batches of 64 as they come, padded to the longest, on the same threads. */
async function inArrivalOrder(encoder: CrossEncoder, query: string, all: readonly string[]): Promise<void> {
  const pairs = await encoder.tokenizer.tokenize(query, all);
  const places = pairs.map((_, index) => index);
  const batches = Array.from({ length: Math.ceil(places.length / BATCH) }, (_, i) =>
    places.slice(i * BATCH, (i + 1) * BATCH),
  );
  await encodeBatches(encoder.pool, pairs, batches, []);
}

async function sorted(encoder: CrossEncoder, query: string, all: readonly string[]): Promise<void> {
  await scorePairs(encoder, query, all, { batchSize: BATCH });
}

async function writeMinilmShape(directory: string): Promise<void> {
  await mkdir(join(directory, 'onnx'), { recursive: true });
  await writeFile(join(directory, 'onnx/model.onnx'), encodeBertGraph(MINILM, 'fp32', 'logits'));
  await writeFile(join(directory, 'onnx/model_int8.onnx'), encodeBertGraph(MINILM, 'int8', 'logits'));
  await copyFile(join(root, 'models/all-MiniLM-L6-v2/tokenizer.json'), join(directory, 'tokenizer.json'));
  const config = { model_type: 'bert', hidden_size: MINILM.hidden, max_position_embeddings: MINILM.positions };
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
}
