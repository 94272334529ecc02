import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { openArrivalOrder, PLAIN_BATCH } from '../src/bench/arrival-order.ts';
import { readBenchTexts } from '../src/bench/read-texts.ts';
import { loadEnvironment } from '../src/config/load-environment.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { calibrate } from '../src/models/calibration.ts';
import { type LocalModel, openLocalModel } from '../src/models/local-model.ts';
import { localProvider } from '../src/providers/local.ts';
import { interleave, markdownTable, median } from './measure.ts';

/** Texts a second of two ways to use one model, measured by turns in the same process. */
interface Way {
  readonly name: string;
  run(texts: readonly string[]): Promise<void>;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'sentence-transformers/all-MiniLM-L6-v2' },
    /** The model that reembed.config.ts names, instead of `--model`. */
    configured: { type: 'boolean', default: false },
    texts: { type: 'string', default: '400' },
    repeats: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});
const path = positionals[0] ?? 'examples/postgres-docs/passages.jsonl';
if (!existsSync(path)) {
  console.error(
    `${path} does not exist. Usage: bench/encode.ts [texts.jsonl] [--model … | --configured] [--texts 400] [--repeats 5]`,
  );
  process.exit(2);
}

loadEnvironment();
const { modelsDir, dtype } = loadRuntimeSettings();
const name = values.configured ? await configuredModel() : values.model;
const texts = (await readBenchTexts(path, Number(values.texts))).map(({ text }) => text);
const model = await openLocalModel(name, { device: 'cpu', threads: Number(values.threads), modelsDir, dtype });
const ways = [await plainLoop(model), await pooled(model)];
for (const way of ways) await way.run(texts.slice(0, 64));
const measured = await interleave(
  Number(values.repeats),
  ways.map((way) => ({ name: way.name, run: () => rateOf(way) })),
);
const tokens = (await model.tokenizer.tokenize(texts)).reduce((sum, { ids }) => sum + ids.length, 0) / texts.length;
console.log(`${name} (${model.files.dtype}), ${texts.length} texts of ${tokens.toFixed(0)} tokens in the mean,`);
console.log(`${availableParallelism()} cores, ${values.repeats} repeats by turns.\n`);
console.log(markdownTable('texts/s', ways[0]?.name ?? '', measured));
for (const { name: way, rates } of measured) console.log(`\n${way}: ${(median(rates) * tokens).toFixed(0)} tokens/s`);
await model.pool.close();
process.exit(0);

/** Ends the program where there is nothing to measure. */
async function configuredModel(): Promise<string> {
  const { default: migration } = await import('../reembed.config.ts');
  if (migration.provider === 'local') return migration.model;
  console.log(`    skipped: ${migration.model} (provider ${migration.provider}) is no model that runs on this machine`);
  process.exit(0);
}

async function rateOf(way: Way): Promise<number> {
  const start = performance.now();
  await way.run(texts);
  return texts.length / ((performance.now() - start) / 1000);
}

async function plainLoop(opened: LocalModel): Promise<Way> {
  const loop = await openArrivalOrder(opened, Number(values.threads));
  return {
    name: `arrival order, batches of ${PLAIN_BATCH}, one session of ${values.threads} threads`,
    run: (all) => loop.run(all),
  };
}

async function pooled(opened: LocalModel): Promise<Way> {
  const calibration = await calibrate(opened, await opened.tokenizer.tokenize(texts));
  const provider = localProvider(name, opened, { calibration });
  return {
    name: `reembed: sorted by length, ${calibration.budget} tokens, ${opened.threads} threads of one session each`,
    run: async (all) => {
      await provider.embed(all, { kind: 'document' });
    },
  };
}
