import type { RequestFailure } from './request-failure.ts';

/** What the requests of a provider know together of a service that has stopped answering. */
export interface Outage {
  /** Answers so far: a service without any may never have been there. */
  readonly answers: number;
  /** The first one after an outage is told. */
  answered(): void;
  /** Tells once what is waited for, and until when. */
  waitFor(failure: RequestFailure, leftMs: number): void;
}

/** @param onNotice told when the service is waited for and when it is back */
export function openOutage(onNotice: (message: string) => void): Outage {
  let answers = 0;
  let since: number | undefined;
  return {
    get answers() {
      return answers;
    },
    answered() {
      answers += 1;
      if (since === undefined) return;
      onNotice(`The service answers again, after ${Math.round((performance.now() - since) / 1000)} s.`);
      since = undefined;
    },
    waitFor(failure, leftMs) {
      if (since !== undefined) return;
      since = performance.now();
      const until = new Date(Date.now() + leftMs).toISOString().slice(11, 19);
      onNotice(
        `${failure.message} It is asked again until ${until} UTC (EMBEDDING_DEADLINE); Ctrl-C ends the wait, and what was written stays.`,
      );
    },
  };
}

/** Failures of the service as a whole: it is not reached, is silent, or says itself that it failed. */
export function isOutage({ details }: RequestFailure): boolean {
  if (details.kind !== 'passing') return false;
  return details.code === 'service_failed' ? (details.status ?? 0) >= 500 : details.code !== 'answer_malformed';
}
