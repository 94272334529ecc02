import { relative } from 'node:path';
import type { ArrivalOrder } from './arrival-order.ts';
import { gemmFlopsPerToken, readEncoderShape } from './gemm-flops.ts';
import type { GemmRate } from './gemm-limit.ts';
import { summarizeDelays, watchLoop } from './loop-delay.ts';
import type { OpenRun } from './open-run.ts';
import { type Contender, interleave, median, type Spread, spreadOf } from './statistics.ts';
import type { BenchRun, GemmShare, PlainLoop } from './types.ts';

export interface RoundsOptions {
  readonly opened: readonly OpenRun[];
  readonly loop: ArrivalOrder | undefined;
  readonly texts: readonly string[];
  /** Tokens of each text. */
  readonly lengths: readonly number[];
  readonly rounds: number;
  readonly signal: AbortSignal | undefined;
  readonly onRound: (round: number) => void;
}

export interface RoundsResult {
  readonly runs: readonly BenchRun[];
  readonly loop: Pick<PlainLoop, 'textsPerSecond' | 'tokensPerSecond'> | undefined;
}

/** A run with what its turns leave behind. */
interface Entry {
  readonly run: OpenRun;
  readonly delays: number[];
  readonly limits: GemmRate[];
}

/** Whole passes over the texts by turns: each run, before it its GEMM limit, and the plain loop. */
export async function measureRounds(options: RoundsOptions): Promise<RoundsResult> {
  const { opened, loop, rounds, texts, lengths, signal } = options;
  const entries = opened.map((run): Entry => ({ run, delays: [], limits: [] }));
  const contenders = entries.map((entry, i): Contender => ({ name: String(i), run: () => passOf(entry, options) }));
  if (loop !== undefined) {
    contenders.push({ name: 'loop', run: () => rateOf(texts.length, () => loop.run(texts, signal)) });
  }
  const measured = await interleave(rounds, contenders, options.onRound);
  const tokensPerText = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  const spreads = measured.map(({ rates }) => throughput(rates, tokensPerText));
  const runs: BenchRun[] = [];
  for (const [i, entry] of entries.entries()) {
    const spread = spreads[i];
    if (spread !== undefined) runs.push(await describeRun(entry, spread, lengths));
  }
  return { runs, loop: loop === undefined ? undefined : spreads.at(-1) };
}

function passOf({ run, delays, limits }: Entry, { texts, signal }: RoundsOptions): Promise<number> {
  const limit = async (): Promise<void> => {
    if (run.gemm !== undefined) limits.push(await run.gemm.run(signal));
  };
  const pass = (): Promise<number> =>
    rateOf(texts.length, () => run.provider.embed(texts, { kind: 'document', signal }));
  return limit().then(() => watchLoop(delays, pass));
}

async function rateOf(count: number, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return count / ((performance.now() - start) / 1000);
}

function throughput(rates: readonly number[], tokensPerText: number) {
  return { textsPerSecond: spreadOf(rates), tokensPerSecond: spreadOf(rates.map((rate) => rate * tokensPerText)) };
}

async function describeRun(
  { run, delays, limits }: Entry,
  spread: Pick<BenchRun, 'textsPerSecond' | 'tokensPerSecond'>,
  lengths: readonly number[],
): Promise<BenchRun> {
  const { model, calibration, kept, query, sessionBytes } = run;
  return {
    dtype: model.files.dtype,
    device: model.device,
    threads: model.pool.threads,
    graph: relative(model.files.directory, model.files.graph),
    budgets: calibration.measured,
    budget: calibration.budget,
    kept,
    ...spread,
    query,
    loopDelay: summarizeDelays(delays),
    sessionBytes,
    gemm: await gemmShare(run, limits, spread.tokensPerSecond, lengths),
  };
}

async function gemmShare(
  { model }: OpenRun,
  limits: readonly GemmRate[],
  tokensPerSecond: Spread,
  lengths: readonly number[],
): Promise<GemmShare | null> {
  const shape = await readEncoderShape(model.files.directory);
  if (shape === undefined || limits.length === 0) return null;
  const limit = spreadOf(limits.map(({ flops }) => flops));
  const flopsPerToken = gemmFlopsPerToken(shape, lengths);
  return {
    limit,
    tokens: limits.reduce((best, each) => (each.flops > best.flops ? each : best)).tokens,
    flopsPerToken,
    // Round by round: the limit was measured right before the pass, on the machine as it was then.
    fraction: median(
      tokensPerSecond.rounds.map((rate, i) => (flopsPerToken * rate) / (limits[i]?.flops ?? Number.NaN)),
    ),
  };
}
