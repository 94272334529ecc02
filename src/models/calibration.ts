import { ModelError } from '../errors.ts';
import { BATCH_OVERHEAD, type BatchLimits, planBatches } from './batching.ts';
import { type BudgetMeasurement, compareBudgets, cutByTokens, fastest, type Sample } from './compare-budgets.ts';
import { encodeBatches } from './encode-texts.ts';
import type { LocalModel } from './local-model.ts';
import type { TokenizedText } from './tokenizer.ts';
import type { TimedBatch } from './worker-messages.ts';

export type { BudgetMeasurement };

export interface Calibration {
  /** The fastest of `measured`. */
  readonly budget: number;
  /** By rising budget. */
  readonly measured: readonly BudgetMeasurement[];
  /** ISO 8601. */
  readonly calibratedAt: string;
}

export interface CalibrationOptions {
  /** Budgets to compare, in tokens. */
  readonly candidates?: readonly number[];
  /** How often each budget has its turn. */
  readonly rounds?: number;
  /** Texts a batch at most. */
  readonly batchSize?: number | undefined;
  readonly signal?: AbortSignal;
}

/** On a CPU the activations of a batch should stay in the L2 cache; other devices have a plan of their own. */
const CANDIDATES_ON_CPU = [128, 256, 512, 1024, 2048];
const ROUNDS = 5;

/** The budgets that are compared for a model where it runs. */
export function candidatesFor({ devicePlan }: Pick<LocalModel, 'devicePlan'>): readonly number[] {
  return devicePlan?.candidates ?? CANDIDATES_ON_CPU;
}

/** One turn: neighbours in length, all encoded with one budget. */
interface Turn {
  readonly round: number;
  readonly budget: number;
  readonly indexes: readonly number[];
}

/** Compares token budgets while texts are encoded that have to be encoded anyway. */
export class CalibrationRun {
  readonly #model: LocalModel;
  readonly #candidates: readonly number[];
  readonly #rounds: number;
  readonly #limits: Omit<BatchLimits, 'tokens'>;
  readonly #samples: Sample[] = [];
  /** Budgets with which memory ran out. */
  readonly #tooLarge = new Set<number>();
  #turns = 0;

  constructor(
    model: LocalModel,
    options: Pick<CalibrationOptions, 'candidates' | 'rounds'> = {},
    limits: Omit<BatchLimits, 'tokens'> = { texts: Number.POSITIVE_INFINITY },
  ) {
    this.#model = model;
    this.#candidates = [...(options.candidates ?? candidatesFor(model))].sort((a, b) => a - b);
    this.#rounds = options.rounds ?? ROUNDS;
    this.#limits = limits;
  }

  /** True once every turn is given out; what is still being encoded may be missing from `result`. */
  get complete(): boolean {
    return this.#turns >= this.#rounds * this.#candidates.length;
  }

  /**
   * Encodes texts with the budgets by turns and times each turn in the threads, so that no thread ever waits for the
   * end of a turn. Texts are sorted by length and every round takes its turns among neighbours in length, in an order
   * that rotates from round to round: each budget meets the same lengths. Too few texts for a round are one turn.
   * @returns one vector a text, in order.
   * @throws ModelError as `InferencePool.run`.
   */
  async encode(
    texts: readonly TokenizedText[],
    options: { readonly signal?: AbortSignal | undefined; readonly onBatch?: (encoded: TimedBatch) => void } = {},
  ): Promise<Float32Array[]> {
    const vectors: Float32Array[] = new Array(texts.length);
    const lengths = texts.map(({ ids }) => ids.length);
    await Promise.all(this.#planTurns(lengths).map((turn) => this.#take(turn, texts, lengths, vectors, options)));
    return vectors;
  }

  /** The table so far and its maximum; undefined while a budget that memory allows has not been measured. */
  result(): Calibration | undefined {
    const usable = this.#candidates.filter((budget) => budget < Math.min(...this.#tooLarge));
    const measured = compareBudgets(this.#samples, usable, this.#model.pool.threads);
    if (measured === undefined) return undefined;
    return { budget: fastest(measured), measured, calibratedAt: new Date().toISOString() };
  }

  #planTurns(lengths: readonly number[]): readonly Turn[] {
    const count = this.#candidates.length;
    const largest = this.#candidates.at(-1) ?? 1;
    const order = lengths.map((_, index) => index).sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0) || a - b);
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    const missing = Math.max(1, this.#rounds - Math.floor(this.#turns / count));
    const rounds = Math.min(missing, Math.floor(tokens / (largest * count)));
    const pieces = rounds === 0 ? [order] : cutByTokens(order, lengths, rounds * count);
    return pieces.map((indexes) => {
      const turn = this.#turns++;
      const round = Math.floor(turn / count);
      return { round, budget: this.#candidates[(turn + round) % count] ?? largest, indexes };
    });
  }

  async #take(
    { round, budget, indexes }: Turn,
    texts: readonly TokenizedText[],
    lengths: readonly number[],
    vectors: Float32Array[],
    { signal, onBatch }: NonNullable<Parameters<CalibrationRun['encode']>[1]>,
  ): Promise<void> {
    const plan = planBatches(
      indexes.map((index) => lengths[index] ?? 0),
      { ...this.#limits, tokens: budget },
    );
    const batches = plan.map((batch) => batch.map((position) => indexes[position] ?? 0));
    let milliseconds = 0;
    await encodeBatches(this.#model.pool, texts, batches, vectors, {
      signal,
      onBatch: (encoded) => {
        milliseconds += encoded.milliseconds;
        if (encoded.halvings > 0) this.#tooLarge.add(budget);
        onBatch?.(encoded);
      },
    });
    const tokens = indexes.reduce((sum, index) => sum + (lengths[index] ?? 0), 0);
    this.#samples.push({ round, budget, tokens, texts: indexes.length, milliseconds });
  }
}

/**
 * Finds the token budget with which `model` is fastest on texts like these: encodes them with every candidate by
 * turns, over and over until each had its rounds. What is encoded is thrown away; `CalibrationRun` keeps it.
 * @throws ModelError when inference fails or no candidate fits into memory; the signal's reason when it aborts.
 */
export async function calibrate(
  model: LocalModel,
  texts: readonly TokenizedText[],
  options: CalibrationOptions = {},
): Promise<Calibration> {
  if (texts.length === 0) throw nothingMeasured();
  await model.pool.openAll();
  const overhead = BATCH_OVERHEAD[model.facts.device === 'cpu' ? 'cpu' : 'device'];
  const run = new CalibrationRun(model, options, { texts: options.batchSize ?? Number.POSITIVE_INFINITY, overhead });
  do {
    options.signal?.throwIfAborted();
    await run.encode(texts, { signal: options.signal });
  } while (!run.complete);
  const result = run.result();
  if (result === undefined) throw nothingMeasured();
  return result;
}

/** The table in Markdown, the chosen budget in bold. */
export function calibrationTable({ budget, measured }: Calibration): string {
  const rows = measured.map((each) => {
    const cells = [each.budget, each.tokensPerSecond, each.textsPerSecond].map(grouped);
    return `| ${(each.budget === budget ? cells.map((cell) => `**${cell}**`) : cells).join(' | ')} |`;
  });
  return ['| tokens a batch | tokens/s | texts/s |', '|---:|---:|---:|', ...rows].join('\n');
}

/** The table in one line. */
export function calibrationLine({ budget, measured }: Calibration): string {
  const rates = measured.map((each) => `${each.budget}: ${grouped(each.tokensPerSecond)} tokens/s`);
  return `${budget} tokens a batch (${rates.join(', ')})`;
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function nothingMeasured(): ModelError {
  return new ModelError('calibration_failed', 'No token budget could be measured: there was no text, or no memory.', {
    hint: 'Give texts to calibrate on; if memory is short, lower EMBEDDING_THREADS.',
  });
}
