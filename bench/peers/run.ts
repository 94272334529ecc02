import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readLines } from '../../src/providers/read-lines.ts';
import { savePanel } from '../panel.ts';
import { type Comparison, comparePeers } from './compare-peers.ts';
import { contenders, REFERENCE, type Setup } from './contenders.ts';
import { describeMachine, peersTable, ratios, versionsOf } from './report-peers.ts';
import type { ModelSpec } from './types.ts';

const USAGE = `usage: npm run bench:peers -- --model-dir DIR [options]
  --model-dir DIR   config.json, tokenizer.json, onnx/model.onnx (fp32), and the sentence-transformers files
  --file FILE       texts, a JSON object with "text" a line (examples/postgres-docs/passages.jsonl)
  --texts N         so many of them (400)
  --rounds N        each contender once a round (5; at least 3)
  --threads N       for those that are told (the cores that this process may use)
  --only A,B        contenders whose names contain one of these, beside ${REFERENCE}
  --json            the result as JSON
  --save            keep the rates for bench/plot.ts`;

const { values } = parseArgs({
  options: {
    'model-dir': { type: 'string' },
    file: { type: 'string', default: 'examples/postgres-docs/passages.jsonl' },
    texts: { type: 'string', default: '400' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    save: { type: 'boolean', default: false },
  },
});
const packages = fileURLToPath(new URL('.', import.meta.url));
const rounds = Number(values.rounds);
const limit = Number(values.texts);
if (values['model-dir'] === undefined || !(rounds >= 3) || !(limit >= 1)) refuse(USAGE);
if (!existsSync(join(packages, '.venv')) || !existsSync(join(packages, '.node'))) {
  refuse('The packages to compare with are not installed: run bench/peers/setup.sh first.');
}
const texts = await readTexts(values.file, limit);
const setup = prepareModel(resolve(values['model-dir']));
const wanted = values.only?.split(',');
const programs = contenders(setup).filter(
  ({ name }) => name === REFERENCE || (wanted?.some((part) => name.includes(part)) ?? true),
);
const comparison = await comparePeers(programs, texts, rounds, (line) => console.error(line));
console.log(values.json ? asJson(comparison) : asMarkdown(comparison));
if (values.save) save(comparison);

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

/** Lays the model out once; later runs find it. */
function prepareModel(modelDir: string): Setup {
  const laidOut = join(packages, '.work', basename(modelDir));
  const script = fileURLToPath(new URL('prepare_model.py', import.meta.url));
  try {
    execFileSync(join(packages, '.venv', 'bin', 'python'), [script, modelDir, laidOut], { stdio: 'inherit' });
  } catch {
    process.exit(1);
  }
  const spec: ModelSpec = JSON.parse(readFileSync(join(laidOut, 'spec.json'), 'utf8'));
  return { modelDir, laidOut, spec, threads: Number(values.threads), packages };
}

async function readTexts(file: string, most: number): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const line of readLines(file)) {
    const { text }: { text?: unknown } = JSON.parse(line.text);
    if (typeof text === 'string') found.push(text);
    if (found.length === most) break;
  }
  if (found.length === 0) refuse(`${file} has no text.`);
  if (found.length < most) console.error(`${file} has only ${found.length} texts.`);
  return found;
}

function save({ results }: Comparison): void {
  const model = basename(setup.modelDir);
  savePanel(model === 'all-MiniLM-L6-v2' ? 'peers' : `peers-${model}`, {
    title: `Encoding, ${model}: ${texts.length.toLocaleString('en-US')} passages`,
    unit: 'texts/s',
    results: results.map(({ name, rates }) => ({ name, rates: [...rates], ours: name.startsWith('reembed') })),
  });
}

function asMarkdown(result: Comparison): string {
  const versions = Object.entries(versionsOf(result)).map(([name, version]) => `${name} ${version}`);
  return [
    `${basename(setup.modelDir)} (${setup.spec.layers} layers, ${setup.spec.dimensions} dimensions), ${texts.length} texts, ` +
      `${rounds} rounds by turns; texts a second, ratio to ${REFERENCE}.`,
    peersTable(result),
    ratios(result)
      .filter(({ ratio }) => !Number.isNaN(ratio))
      .map(({ name, ratio }) => `- ${name}: ${ratio.toFixed(2)}`)
      .join('\n'),
    ...result.leftOut.map(({ name, reason }) => `Left out: ${name}: ${reason}`),
    `Machine: ${describeMachine(Number(values.threads))}`,
    `Versions: ${versions.join(', ')}`,
    `Command: npm run bench:peers -- ${process.argv.slice(2).join(' ')}`,
  ].join('\n\n');
}

function asJson(result: Comparison): string {
  const facts = { model: basename(setup.modelDir), ...setup.spec, texts: texts.length, rounds };
  const machine = describeMachine(Number(values.threads));
  const versions = versionsOf(result);
  return JSON.stringify({ ...facts, machine, versions, ratios: ratios(result), ...result }, null, 2);
}
