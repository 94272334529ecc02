import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { median } from '../measure.ts';
import type { Comparison } from './compare-peers.ts';
import { BORROWED_GRAPH, REFERENCE } from './contenders.ts';
import type { PeerResult } from './types.ts';

/** Instructions that decide how fast int8 and bf16 are, as Linux names them. */
const DECISIVE = [
  'avx2',
  'avx512f',
  'avx512_vnni',
  'avx_vnni',
  'avx512_bf16',
  'amx_int8',
  'amx_bf16',
  'asimddp',
  'i8mm',
];

/** Processor, cores in use, the instructions that matter, and memory. */
export function describeMachine(threads: number): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const flags = cpuFlags();
  const has = DECISIVE.filter((flag) => flags.has(flag)).join(', ');
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  return [model, `${threads} cores`, ...(has === '' ? [] : [has]), memory].join(', ');
}

/** Median, minimum and maximum, the ratio of the medians to the reference, and how near the vectors are to its. */
export function peersTable({ results }: Comparison): string {
  const base = medianOf(results, REFERENCE);
  const rows = results.map(({ name, setting, rates, cosine }) => {
    const numbers = [median(rates), Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(1));
    const near = `${cosine.mean.toFixed(4)} / ${cosine.min.toFixed(4)}`;
    return `| ${name} | ${setting} | ${numbers.join(' | ')} | ${(median(rates) / base).toFixed(2)} | ${near} |`;
  });
  const head = '| contender | fastest setting | median texts/s | min | max | ratio | cosine mean / min |';
  return [head, '|---|---|---|---|---|---|---|', ...rows].join('\n');
}

/** The ratios of medians that say how reembed stands: int8 and fp32 against each of the others. */
export function ratios({ results }: Comparison): readonly { readonly name: string; readonly ratio: number }[] {
  const rivals = [
    REFERENCE,
    'sentence-transformers bf16',
    'fastembed',
    'transformers.js fp32',
    'transformers.js q8',
    BORROWED_GRAPH,
  ];
  return ['reembed int8', 'reembed fp32'].flatMap((own) =>
    rivals.map((rival) => ({ name: `${own} / ${rival}`, ratio: medianOf(results, own) / medianOf(results, rival) })),
  );
}

/** Each package once, as the contenders name them. */
export function versionsOf({ results }: Comparison): Readonly<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const { name, versions } of results) {
    for (const [part, version] of Object.entries(versions)) {
      const known = all[part] === undefined || all[part] === version;
      all[known ? part : `${part} (${name})`] = version;
    }
  }
  return all;
}

function medianOf(results: readonly PeerResult[], name: string): number {
  return median(results.find((result) => result.name === name)?.rates ?? []);
}

function cpuFlags(): ReadonlySet<string> {
  try {
    const line = readFileSync('/proc/cpuinfo', 'utf8').match(/^(?:flags|Features)\s*:(.*)$/m)?.[1] ?? '';
    return new Set(line.trim().split(/\s+/));
  } catch {
    // Only Linux tells.
    return new Set();
  }
}
