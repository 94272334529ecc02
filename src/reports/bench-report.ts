import type { BenchBest, BenchQuality, BenchResult, BenchRun } from '../bench/types.ts';
import { markdownTable } from './markdown-table.ts';

/**
 * The result of a bench as Markdown; its last line is the best throughput.
 * @param baseline texts per second of the old model: the last line then says how many times that it is.
 */
export function benchReport(result: BenchResult, baseline?: number): string {
  const sections = [
    `# What this machine makes of ${result.model.name}`,
    settingTable(result),
    '## Throughput',
    throughputTable(result),
    limitText(result.runs),
    '## Tokens a batch',
    calibrationText(result.runs),
    budgetTable(result.runs),
    '## A query, the event loop, memory',
    latencyTable(result.runs),
    `The process had ${bytesText(result.peakBytes)} at most, with all that is measured here open at the same time.`,
    ...(result.quality === null
      ? []
      : ['## What a precision costs', qualityText(result.quality), qualityTable(result.quality)]),
    ...(result.notMeasured.length === 0 ? [] : ['## Not measured', listText(result.notMeasured)]),
    bestText(result.best, baseline),
  ];
  return sections.join('\n\n');
}

/** The best throughput and its batch, as a sentence. */
function bestText(best: BenchBest, baseline: number | undefined): string {
  const { dtype, device, threads, budget, textsPerSecond, tokensPerSecond } = best;
  const where = device === 'cpu' ? `cpu (${threads} ${threads === 1 ? 'thread' : 'threads'})` : device;
  const rates = `${rateText(textsPerSecond)} texts/s (${whole(tokensPerSecond)} tokens/s)`;
  const sentence = `Best: ${rates} with ${dtype} on ${where}, ${whole(budget)} tokens a batch`;
  if (baseline === undefined) return `${sentence}.`;
  return `${sentence}: ${(textsPerSecond / baseline).toFixed(1)} times the baseline of ${rateText(baseline)} texts/s.`;
}

function settingTable({ machine, model, texts, rounds }: BenchResult): string {
  const cores = `${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}`;
  const cut = texts.truncated === 0 ? '' : `, ${whole(texts.truncated)} cut at the model's limit`;
  return markdownTable(
    ['', ''],
    [
      ['Machine', `${machine.cpu}, ${cores}, ${bytesText(machine.memoryBytes)}, ${machine.platform} ${machine.arch}`],
      ['Software', `Node ${machine.node}, onnxruntime-node ${machine.onnxruntime}`],
      ['Model', `${model.name}, ${model.dimensions} dimensions`],
      [
        'Texts',
        `${whole(texts.count)} of ${texts.source}: ${whole(texts.meanTokens)} tokens in the mean, ${whole(texts.medianTokens)} in the median${cut}`,
      ],
      ['Rounds', `${rounds}, by turns; medians, with minimum and maximum`],
    ],
  );
}

function throughputTable({ runs, plainLoop }: BenchResult): string {
  const head = ['dtype', 'device', 'way', 'texts/s', 'min', 'max', 'tokens/s', 'of the GEMM limit'];
  const rows = runs.map((run) => [
    run.dtype,
    run.device,
    `reembed, ${run.threads} × 1 thread, ${whole(run.budget)} tokens a batch`,
    ...rateCells(run),
    run.gemm === null ? '–' : `${Math.round(run.gemm.fraction * 100)}%`,
  ]);
  if (plainLoop !== null) {
    const { dtype, threads, batchTexts } = plainLoop;
    const way = `plain loop, one session of ${threads} threads, ${batchTexts} texts as they come`;
    rows.push([dtype, 'cpu', way, ...rateCells(plainLoop), '–']);
  }
  return markdownTable(head, rows);
}

function rateCells({
  textsPerSecond,
  tokensPerSecond,
}: Pick<BenchRun, 'textsPerSecond' | 'tokensPerSecond'>): string[] {
  const { median, min, max } = textsPerSecond;
  return [rateText(median), rateText(min), rateText(max), whole(tokensPerSecond.median)];
}

function limitText(runs: readonly BenchRun[]): string {
  const limits = runs.flatMap(({ dtype, device, gemm }) => {
    if (gemm === null) return [];
    const { limit, tokens, flopsPerToken } = gemm;
    const spread = `${gigaflops(limit.median)} (${gigaflops(limit.min)} to ${gigaflops(limit.max)}) GFLOP/s`;
    return [
      `${dtype} on ${device} ${spread} at ${whole(tokens)} tokens, ${(flopsPerToken / 1e6).toFixed(1)} MFLOP a token`,
    ];
  });
  if (limits.length === 0) return 'No GEMM limit: config.json does not tell the sizes of the layers.';
  return `The GEMM limit is the rate of the model's matrix products alone, in the same threads and rounds: ${limits.join('; ')}.`;
}

function calibrationText(runs: readonly BenchRun[]): string {
  const what = 'The calibration: batches of these texts, without tokenising, timed in the threads.';
  const all = runs.every(({ kept }) => kept);
  return `${what} The choice is ${all ? 'kept, the next start reads it' : 'not kept: too few texts, or no place to write it'}.`;
}

function budgetTable(runs: readonly BenchRun[]): string {
  const rows = runs.flatMap(({ dtype, device, budget, budgets }) =>
    budgets.map((each) => [
      dtype,
      device,
      whole(each.budget),
      rateText(each.textsPerSecond),
      whole(each.tokensPerSecond),
      ...(each.range ?? [each.tokensPerSecond, each.tokensPerSecond]).map(whole),
      each.budget === budget ? 'chosen' : '',
    ]),
  );
  return markdownTable(['dtype', 'device', 'tokens a batch', 'texts/s', 'tokens/s', 'min', 'max', ''], rows);
}

function latencyTable(runs: readonly BenchRun[]): string {
  const head = ['dtype', 'device', 'query p50 ms', 'p95', 'p99', 'loop delay p99 ms', 'max', 'memory a session'];
  const rows = runs.map(({ dtype, device, query, loopDelay, sessionBytes }) => [
    dtype,
    device,
    ...[query.p50, query.p95, query.p99, loopDelay.p99, loopDelay.max].map((value) => value.toFixed(1)),
    bytesText(sessionBytes),
  ]);
  return markdownTable(head, rows);
}

function qualityText({ reference }: BenchQuality): string {
  const against = `Against ${reference}, on these texts: cosine of a text's two vectors, the share of its 10 nearest neighbours that stay`;
  return `${against}, and how often a title finds its text among the 10 nearest.`;
}

function qualityTable({ rows }: BenchQuality): string {
  const head = ['dtype', 'device', 'cosine min', '5%', 'median', 'overlap@10', 'Recall@10', 'titles'];
  const cells = rows.map(({ dtype, device, quality }) => [
    dtype,
    device,
    ...[quality.cosine.min, quality.cosine.p5, quality.cosine.median].map((value) => value.toFixed(4)),
    ...[quality.overlapAt10, quality.recallAt10].map((value) => (value === null ? '–' : value.toFixed(3))),
    whole(quality.queries),
  ]);
  return markdownTable(head, cells);
}

function listText(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** One decimal below ten, where a whole number would say too little. */
function rateText(value: number): string {
  return value < 10 ? value.toFixed(1) : whole(value);
}

function gigaflops(value: number): string {
  return rateText(value / 1e9);
}

function bytesText(value: number): string {
  return value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${Math.round(value / 1e6)} MB`;
}
