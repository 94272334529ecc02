/** A place among the requests in flight. */
export interface Permit {
  /** Gives the place back, once. `congested` is a service that said it is too much, which asks for `pauseMs` without requests. */
  release(outcome: 'answered' | 'failed' | 'congested', pauseMs?: number): void;
}

interface Waiter {
  readonly isRetry: boolean;
  grant(permit: Permit): void;
}

/**
 * How many requests are in flight at most, from 1 to `max`: half as many after a service said that it is too much, one more after a
 * full round of answers (additive increase, multiplicative decrease; Chiu and Jain 1989). All refusals of requests that were sent before
 * a decrease are one event: eight of them in a row halve once.
 */
export class AdaptiveConcurrency {
  readonly #max: number;
  readonly #waiting: Waiter[] = [];
  #limit: number;
  #inFlight = 0;
  #decreases = 0;
  #pausedUntil = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(max: number) {
    this.#max = max;
    this.#limit = max;
  }

  /** Requests in flight at most, at present. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  /** Resolves when there is a place; a retry goes before what was never sent. Rejects with the signal's reason. */
  acquire(signal: AbortSignal, isRetry: boolean): Promise<Permit> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const waiter: Waiter = {
        isRetry,
        grant: (permit) => {
          signal.removeEventListener('abort', leave);
          resolve(permit);
        },
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        this.#admit();
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      const firstNew = isRetry ? this.#waiting.findIndex((other) => !other.isRetry) : -1;
      this.#waiting.splice(firstNew < 0 ? this.#waiting.length : firstNew, 0, waiter);
      this.#admit();
    });
  }

  #admit(): void {
    clearTimeout(this.#timer);
    const pauseLeft = this.#pausedUntil - performance.now();
    if (pauseLeft > 0) {
      if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#admit(), pauseLeft + 1);
      return;
    }
    while (this.#inFlight < this.limit) {
      const waiter = this.#waiting.shift();
      if (waiter === undefined) return;
      this.#inFlight += 1;
      waiter.grant(this.#permit());
    }
  }

  #permit(): Permit {
    const decreasesBefore = this.#decreases;
    return {
      release: (outcome, pauseMs = 0) => {
        this.#inFlight -= 1;
        if (outcome === 'answered') this.#limit = Math.min(this.#max, this.#limit + 1 / this.#limit);
        if (outcome === 'congested') {
          if (decreasesBefore === this.#decreases) {
            this.#limit = Math.max(1, this.#limit / 2);
            this.#decreases += 1;
          }
          this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + pauseMs);
        }
        this.#admit();
      },
    };
  }
}
