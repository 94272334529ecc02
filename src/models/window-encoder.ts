import { BATCH_OVERHEAD, planBatches } from './batching.ts';
import { type Calibration, CalibrationRun, calibrationLine } from './calibration.ts';
import { calibrationKey, readCalibration, writeCalibration } from './calibration-cache.ts';
import { fastest } from './compare-budgets.ts';
import { encodeBatches } from './encode-texts.ts';
import type { LocalModel } from './local-model.ts';
import type { TokenizedText } from './tokenizer.ts';
import type { EncodedBatch } from './worker-messages.ts';

/** Tokens of a batch on the CPU before anything is known: what stays in the L2 cache. A device has a plan of its own. */
const FIRST_BUDGET_ON_CPU = 512;
const SMALLEST_BUDGET = 32;
/** Windows with fewer texts never calibrate: a web server's queries are no backfill. */
const CALIBRATION_TEXTS = 512;
/** Every so many-th text of the first window runs unmeasured, while the other threads start. */
const WARM_UP_STEP = 16;

export interface WindowEncoderOptions {
  /** Texts a batch at most. */
  readonly batchSize?: number | undefined;
  /** Where calibrations are kept; without it every process calibrates anew. */
  readonly cacheDir?: string | undefined;
  /** Found already: nothing is measured or looked up. */
  readonly calibration?: Calibration | undefined;
  readonly onNotice?: ((message: string) => void) | undefined;
}

export interface EncodeWindowOptions {
  /** Texts a batch at most, for this window. */
  readonly batchSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Texts in, vectors out, in batches of the size that is best here. */
export class WindowEncoder {
  readonly #model: LocalModel;
  readonly #options: WindowEncoderOptions;
  readonly #overhead: number;
  #budget: number;
  #calibration: Calibration | undefined;
  #run: CalibrationRun | undefined;
  #recalled: Promise<void> | undefined;
  /** True once nothing is left to find out, or to say. */
  #settled = false;

  constructor(model: LocalModel, options: WindowEncoderOptions = {}) {
    this.#model = model;
    this.#options = options;
    const kind = model.facts.device === 'cpu' ? 'cpu' : 'device';
    this.#budget = model.devicePlan?.tokens ?? FIRST_BUDGET_ON_CPU;
    this.#overhead = BATCH_OVERHEAD[kind];
    if (options.calibration !== undefined) this.#use(options.calibration);
  }

  /** Tokens of a batch at most, padding counted in. */
  get budget(): number {
    return this.#budget;
  }

  /**
   * Encodes texts that were tokenised together. The first large window finds the best budget on the way, unless an
   * earlier process left it in the cache.
   * @returns one vector a text, in order.
   * @throws ModelError as `InferencePool.run`; the signal's reason when it aborts.
   */
  async encode(window: readonly TokenizedText[], options: EncodeWindowOptions = {}): Promise<Float32Array[]> {
    this.#recalled ??= this.#recall();
    await this.#recalled;
    if (this.#settled || window.length < CALIBRATION_TEXTS || options.batchSize !== undefined) {
      return this.#encodePlainly(window, options);
    }
    if (this.#calibration !== undefined) {
      this.#settled = true;
      const day = this.#calibration.calibratedAt.slice(0, 10);
      this.#options.onNotice?.(`${this.#budget} tokens a batch, as calibrated on this machine on ${day}`);
      return this.#encodePlainly(window, options);
    }
    return this.#encodeMeasured(window, options);
  }

  async #recall(): Promise<void> {
    const { cacheDir, batchSize } = this.#options;
    if (cacheDir === undefined || this.#calibration !== undefined) return;
    const found = await readCalibration(cacheDir, calibrationKey(this.#model, batchSize));
    if (found !== undefined) this.#use(found);
  }

  #use(calibration: Calibration): void {
    this.#calibration = calibration;
    this.#budget = calibration.budget;
  }

  async #encodePlainly(
    window: readonly TokenizedText[],
    { batchSize, signal }: EncodeWindowOptions,
  ): Promise<Float32Array[]> {
    const budget = this.#budget;
    const texts = batchSize ?? this.#options.batchSize ?? Number.POSITIVE_INFINITY;
    const batches = planBatches(
      window.map(({ ids }) => ids.length),
      { tokens: budget, texts, overhead: this.#overhead },
    );
    const vectors: Float32Array[] = new Array(window.length);
    const onBatch = (encoded: EncodedBatch): void => this.#learn(encoded, budget);
    await encodeBatches(this.#model.pool, window, batches, vectors, { signal, onBatch });
    return vectors;
  }

  async #encodeMeasured(window: readonly TokenizedText[], options: EncodeWindowOptions): Promise<Float32Array[]> {
    const { signal } = options;
    const first = this.#run === undefined;
    this.#run ??= new CalibrationRun(
      this.#model,
      {},
      { texts: this.#options.batchSize ?? Number.POSITIVE_INFINITY, overhead: this.#overhead },
    );
    const run = this.#run;
    if (run.complete) return this.#encodePlainly(window, options);
    try {
      const vectors = first ? await this.#warmUp(run, window, options) : await run.encode(window, { signal });
      if (run.complete && run === this.#run) await this.#conclude(run);
      return vectors;
    } catch (error) {
      // Turns are missing now: the next large window begins again.
      if (this.#run === run) this.#run = undefined;
      throw error;
    }
  }

  /** Opens all threads before anything is timed; meanwhile those that are open have some of the texts to do. */
  async #warmUp(
    run: CalibrationRun,
    window: readonly TokenizedText[],
    options: EncodeWindowOptions,
  ): Promise<Float32Array[]> {
    const isEarly = (index: number): boolean => index % WARM_UP_STEP === 0;
    const [early] = await Promise.all([
      this.#encodePlainly(
        window.filter((_, index) => isEarly(index)),
        options,
      ),
      this.#model.pool.openAll(),
    ]);
    const measured = await run.encode(
      window.filter((_, index) => !isEarly(index)),
      { signal: options.signal },
    );
    const sources = { early: early.values(), measured: measured.values() };
    return window.map((_, index) => sources[isEarly(index) ? 'early' : 'measured'].next().value ?? new Float32Array());
  }

  async #conclude(run: CalibrationRun): Promise<void> {
    if (this.#settled) return;
    const result = run.result();
    if (result === undefined) return;
    this.#settled = true;
    this.#use(result);
    this.#options.onNotice?.(`Calibrated on your texts: ${calibrationLine(result)}`);
    await this.#remember();
  }

  async #remember(): Promise<void> {
    const { cacheDir, batchSize } = this.#options;
    if (cacheDir === undefined || this.#calibration === undefined) return;
    await writeCalibration(cacheDir, calibrationKey(this.#model, batchSize), this.#calibration);
  }

  /** After memory ran out with `budget`, batches are smaller for good: here, and where the calibration is kept. */
  #learn({ halvings }: EncodedBatch, budget: number): void {
    // Batches that were under way with the old budget teach nothing new.
    if (halvings === 0 || budget > this.#budget || budget <= SMALLEST_BUDGET) return;
    this.#budget = Math.max(SMALLEST_BUDGET, budget >> 1);
    this.#options.onNotice?.(`Memory ran out: batches were halved and hold ${this.#budget} tokens from now on.`);
    const measured = this.#calibration?.measured.filter((each) => each.budget <= this.#budget) ?? [];
    if (this.#calibration === undefined || measured.length === 0) return;
    this.#budget = fastest(measured);
    this.#calibration = { ...this.#calibration, measured, budget: this.#budget };
    void this.#remember();
  }
}
