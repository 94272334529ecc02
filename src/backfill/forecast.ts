/** What a window of rows was. */
export interface WindowWork {
  readonly rows: number;
  readonly written: number;
  /** UTF-8 bytes of each text. */
  readonly sizes: readonly number[];
  /** 0 where the provider does not count them. */
  readonly tokens: number;
  /** Texts that were cut at the model's limit. */
  readonly truncated: number;
}

export interface Outlook {
  /** Rows written a second. */
  readonly rowRate: number;
  /** Undefined where the provider does not count tokens. */
  readonly tokenRate: number | undefined;
  readonly etaSeconds: number | undefined;
}

export interface Forecast {
  /** Sizes in UTF-8 bytes of a sample of the texts that were pending when the run began, in key order. */
  learnSizes(sizes: readonly number[]): void;
  add(work: WindowWork): void;
  /** @param rowsLeft rows that are still to be embedded, as far as is known */
  look(rowsLeft: number): Outlook;
}

/** How far back the rates look that are shown, and those that the rest is estimated with: there one slow window must not count for much. */
const SHOWN_MEMORY_MS = 30_000;
const MEMORY_MS = 120_000;
/** Before so many windows are done the rest is not told: the first one has started the threads, and others have shared them. */
const FIRST_WINDOWS = 3;
/** So many rows of the sample speak for what is left, also at its very end. */
const FEWEST_SAMPLES = 32;

/**
 * How long a backfill still takes. A model works through tokens, not rows, and texts of one age or kind lie together: where the short ones
 * come first, rows a second promise far too much. So the rest is estimated in tokens: the sample says how large the texts behind
 * the present place are, the windows so far how many tokens a byte makes and how many of them a second takes.
 *
 * @param maxTokens of a text; longer ones cost no more
 * @param now milliseconds
 */
export function createForecast(maxTokens: number | undefined, now: () => number = Date.now): Forecast {
  const limit = maxTokens ?? Number.POSITIVE_INFINITY;
  const density = createDensity(limit);
  const shown = createRates(now, SHOWN_MEMORY_MS);
  const steady = createRates(now, MEMORY_MS);
  let sizes: readonly number[] = [];
  let rowsMet = 0;
  let windows = 0;

  /** Tokens, or bytes where nobody counts tokens, of a row that is still to come; undefined without a sample. */
  function meanAhead(rowsLeft: number): number | undefined {
    if (sizes.length === 0) return undefined;
    const place = Math.floor((sizes.length * rowsMet) / Math.max(1, rowsMet + rowsLeft));
    const ahead = sizes.slice(Math.max(0, Math.min(place, sizes.length - FEWEST_SAMPLES)));
    return ahead.reduce((sum, size) => sum + density.workOf(size), 0) / ahead.length;
  }

  return {
    learnSizes(sample) {
      sizes = sample;
    },
    add(work) {
      density.add(work);
      rowsMet += work.rows;
      windows += 1;
      const bytes = work.sizes.reduce((sum, size) => sum + size, 0);
      const amounts = { rows: work.rows, written: work.written, tokens: work.tokens, bytes };
      shown.add(amounts);
      if (windows > 1) steady.add(amounts);
      else steady.restart();
    },
    look(rowsLeft) {
      const { rows, tokens, bytes } = steady.perSecond();
      const mean = meanAhead(rowsLeft);
      const work = density.counted() ? tokens : bytes;
      const seconds = mean === undefined || work === 0 ? rowsLeft / rows : (rowsLeft * mean) / work;
      return {
        rowRate: shown.perSecond().written,
        tokenRate: density.counted() ? shown.perSecond().tokens : undefined,
        etaSeconds: rowsLeft === 0 ? 0 : windows >= FIRST_WINDOWS && Number.isFinite(seconds) ? seconds : undefined,
      };
    },
  };
}

/** Tokens a byte, learned from the windows so far. */
function createDensity(limit: number) {
  let allTokens = 0;
  let allBytes = 0;
  let wholeTokens = 0;
  let wholeBytes = 0;
  return {
    add({ sizes, tokens, truncated }: WindowWork): void {
      allTokens += tokens;
      for (const size of sizes) allBytes += size;
      if (!Number.isFinite(limit)) return;
      // Cut texts say nothing of their density; they are the longest ones, as nearly as bytes can tell.
      const whole = truncated === 0 ? sizes : [...sizes].sort((a, b) => a - b).slice(0, sizes.length - truncated);
      wholeTokens += Math.max(0, tokens - truncated * limit);
      for (const size of whole) wholeBytes += size;
    },
    counted: () => allTokens > 0,
    workOf(size: number): number {
      if (allTokens === 0) return size;
      const density = wholeTokens > 0 && wholeBytes > 0 ? wholeTokens / wholeBytes : allTokens / allBytes;
      return Math.min(limit, size * density);
    },
  };
}

type Amounts = Readonly<Record<'rows' | 'written' | 'tokens' | 'bytes', number>>;

/**
 * Amounts a second, older ones weighing less. Both amounts and time are counted from one window's end to the next one's, so that windows which
 * end together, or a long one that is not over yet, do not make it jump.
 */
function createRates(now: () => number, memoryMs: number) {
  let last = now();
  let seconds = 0;
  let sums: Amounts = { rows: 0, written: 0, tokens: 0, bytes: 0 };
  return {
    restart(): void {
      last = now();
    },
    add(amounts: Amounts): void {
      const passed = Math.max(0, now() - last);
      const kept = Math.exp(-passed / memoryMs);
      last += passed;
      seconds = seconds * kept + passed / 1000;
      sums = {
        rows: sums.rows * kept + amounts.rows,
        written: sums.written * kept + amounts.written,
        tokens: sums.tokens * kept + amounts.tokens,
        bytes: sums.bytes * kept + amounts.bytes,
      };
    },
    perSecond(): Amounts {
      const per = (amount: number): number => (seconds === 0 ? 0 : amount / seconds);
      return { rows: per(sums.rows), written: per(sums.written), tokens: per(sums.tokens), bytes: per(sums.bytes) };
    },
  };
}
