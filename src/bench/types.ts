import type { Dtype } from '../config/types.ts';
import type { BudgetMeasurement } from '../models/calibration.ts';
import type { LoopDelay } from './loop-delay.ts';
import type { Quality } from './quality.ts';
import type { Spread } from './statistics.ts';

/** The machine, as far as the process may use it. */
export interface BenchMachine {
  readonly cpu: string;
  readonly arch: string;
  readonly platform: string;
  /** Cores' worth of time that the process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly node: string;
  /** Version of onnxruntime-node. */
  readonly onnxruntime: string;
}

export interface BenchTexts {
  /** The file. */
  readonly source: string;
  readonly count: number;
  readonly withTitle: number;
  readonly tokens: number;
  readonly meanTokens: number;
  readonly medianTokens: number;
  /** Texts longer than the model's limit; their rest is not embedded. */
  readonly truncated: number;
}

/** Of single queries, one after the other, in milliseconds. */
export interface QueryLatency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly queries: number;
}

export interface GemmShare {
  /** Operations per second of the model's matrix products alone, in the same rounds. */
  readonly limit: Spread;
  /** Tokens of the batch that was fastest. */
  readonly tokens: number;
  /** Operations of the model's products for one token of these texts. */
  readonly flopsPerToken: number;
  /** flopsPerToken · tokens per second / limit, the median of the rounds. */
  readonly fraction: number;
}

/** One precision on one device. */
export interface BenchRun {
  readonly dtype: Dtype;
  /** `cpu`, `webgpu`, or `cuda:` and its number. */
  readonly device: string;
  readonly threads: number;
  /** The ONNX file, relative to the model's directory. */
  readonly graph: string;
  /** The calibration's table, and the budget that it chose: the one with the most tokens a second. */
  readonly budgets: readonly BudgetMeasurement[];
  readonly budget: number;
  /** True when the calibration is kept and read by the next start; not after a few texts, or where it cannot be written. */
  readonly kept: boolean;
  /** Of whole passes over the texts, tokenising included, as `embed` gives it to a caller. */
  readonly textsPerSecond: Spread;
  readonly tokensPerSecond: Spread;
  readonly query: QueryLatency;
  /** While the texts were encoded. */
  readonly loopDelay: LoopDelay;
  /** What the process's memory grew by for each thread once all of them were at work. */
  readonly sessionBytes: number;
  /** Null where `config.json` does not tell the sizes. */
  readonly gemm: GemmShare | null;
}

/** The loop that one would write: batches as they come, in one session. */
export interface PlainLoop {
  readonly dtype: Dtype;
  readonly threads: number;
  readonly batchTexts: number;
  readonly textsPerSecond: Spread;
  readonly tokensPerSecond: Spread;
}

export interface QualityRow {
  readonly dtype: Dtype;
  /** `cpu`, `webgpu`, or `cuda:` and its number. */
  readonly device: string;
  readonly quality: Quality;
}

export interface BenchQuality {
  /** What the others are compared with: the best precision there is. */
  readonly reference: Dtype;
  readonly rows: readonly QualityRow[];
}

export interface BenchBest {
  readonly dtype: Dtype;
  /** `cpu`, `webgpu`, or `cuda:` and its number. */
  readonly device: string;
  readonly threads: number;
  readonly budget: number;
  readonly textsPerSecond: number;
  readonly tokensPerSecond: number;
}

export interface BenchResult {
  readonly machine: BenchMachine;
  readonly model: { readonly name: string; readonly directory: string; readonly dimensions: number };
  readonly texts: BenchTexts;
  readonly rounds: number;
  readonly runs: readonly BenchRun[];
  /** Only of a comparison. */
  readonly plainLoop: PlainLoop | null;
  /** Only of a comparison in which there was something to compare. */
  readonly quality: BenchQuality | null;
  /** The most memory that the process had at any time, all of `runs` together. */
  readonly peakBytes: number;
  /** What could not be measured here, each with its reason. */
  readonly notMeasured: readonly string[];
  readonly best: BenchBest;
}
