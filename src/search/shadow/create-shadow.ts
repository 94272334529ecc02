import { messageOf } from '../../errors.ts';
import { seededRandom } from '../../vector/random.ts';
import { compareAnswers } from './compare-answers.ts';
import { ShadowLog } from './shadow-log.ts';
import type { ServedSearch, Shadow, ShadowCounts, ShadowOptions } from './types.ts';

type Shadowed = ServedSearch & { readonly side: 'old' | 'new' };

/** What is asked right now is waited for so long at most: an application that stops does not wait for a model that hangs. */
const CLOSE_WITHIN_MS = 5_000;

const NOTHING_YET: ShadowCounts = {
  ...{ offered: 0, sampled: 0, dropped: 0, failed: 0, compared: 0, logged: 0, unwritten: 0 },
  lastError: undefined,
};

/**
 * Asks the side that did not serve a search what it would have answered, in the background, and logs how far the two agree. The search that was
 * served never waits: nothing runs before its answer is out, and what fails is counted, not thrown. Close it, or the last seconds are not logged.
 *
 * @throws RangeError for settings out of their range
 */
export function createShadow(options: ShadowOptions): Shadow {
  return new SearchShadow(options);
}

class SearchShadow implements Shadow {
  readonly #options: ShadowOptions;
  readonly #sample: number;
  readonly #places: number;
  readonly #concurrency: number;
  readonly #random: () => number;
  readonly #log: ShadowLog;
  readonly #waiting: Shadowed[] = [];
  readonly #told = new Set<string>();
  #counts: ShadowCounts = NOTHING_YET;
  #asking = 0;
  #over = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: ShadowOptions) {
    this.#options = options;
    this.#sample = inRange('sample', options.sample ?? 0.1, 0, 1);
    this.#places = inRange('queue', options.queue ?? 100, 1, 10_000);
    this.#concurrency = inRange('concurrency', options.concurrency ?? 1, 1, 100);
    this.#random = seededRandom(options.seed ?? Math.floor(Math.random() * 2 ** 32));
    this.#log = new ShadowLog({
      migrationId: options.migrationId,
      db: options.db,
      stateSchema: options.stateSchema ?? 'reembed',
      keepDays: inRange('keepDays', options.keepDays ?? 30, 0, 10_000),
      keepSearches: inRange('keepSearches', options.keepSearches ?? 50_000, 1, 1e9),
      onWritten: (rows) => this.#count({ logged: rows }),
      onRefused: (rows, message, isFinal) => {
        this.#count({ unwritten: rows });
        if (isFinal) this.#stop();
        this.#note(message);
      },
    });
  }

  get counts(): ShadowCounts {
    return this.#counts;
  }

  offer(served: ServedSearch): void {
    if (this.#over || !isOneSided(served)) return;
    this.#count({ offered: 1 });
    if (this.#random() >= this.#sample) return;
    this.#count({ sampled: 1 });
    if (this.#waiting.length >= this.#places) {
      this.#count({ dropped: 1 });
      return;
    }
    this.#waiting.push(served);
    // After the promises that carry the answer out.
    setImmediate(() => this.#work());
  }

  async settled(): Promise<void> {
    await this.#idle();
    await this.#log.flush();
  }

  async close(): Promise<void> {
    this.#stop();
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_WITHIN_MS);
    });
    await Promise.race([this.#idle(), tooLong]);
    clearTimeout(timer);
    await this.#log.flush();
  }

  async #idle(): Promise<void> {
    if (this.#asking === 0 && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #work(): void {
    while (this.#asking < this.#concurrency) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#asking++;
      void this.#compare(next).then(() => {
        this.#asking--;
        this.#work();
      });
    }
    if (this.#asking > 0 || this.#waiting.length > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Never rejects. */
  async #compare(served: Shadowed): Promise<void> {
    try {
      const shadow = await this.#options.ask(served.side === 'old' ? 'new' : 'old', served);
      this.#log.add(compareAnswers(served, shadow, this.#options.queryText === true));
      this.#count({ compared: 1 });
    } catch (error) {
      this.#count({ failed: 1 });
      this.#note(`The ${served.side === 'old' ? 'new' : 'old'} side could not be asked: ${messageOf(error)}`);
    }
  }

  #stop(): void {
    this.#over = true;
    this.#count({ dropped: this.#waiting.splice(0).length });
  }

  #count(more: Partial<Record<Exclude<keyof ShadowCounts, 'lastError'>, number>>): void {
    const sums = Object.entries(more).map(([name, by]) => [name, this.#counts[name as keyof typeof more] + by]);
    this.#counts = { ...this.#counts, ...Object.fromEntries(sums) };
  }

  /** Once of each message: a side that is away fails at every search. */
  #note(message: string): void {
    this.#counts = { ...this.#counts, lastError: message };
    if (this.#told.has(message) || this.#told.size >= 20) return;
    this.#told.add(message);
    try {
      this.#options.onNotice?.(message);
    } catch {
      // A logger that fails must not become the failure of the application.
    }
  }
}

function isOneSided(served: ServedSearch): served is Shadowed {
  return served.side === 'old' || served.side === 'new';
}

function inRange(name: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new RangeError(`${name} of the shadow is ${value}, expected ${least} to ${most}`);
}
