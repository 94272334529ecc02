/**
 * `refused`: the same request would fail again. `passing`: it may pass later. `congested`: it will, once there are fewer.
 * `too-large`: fewer texts at a time may pass.
 */
export type FailureKind = 'refused' | 'passing' | 'congested' | 'too-large';

export interface FailureDetails {
  readonly kind: FailureKind;
  /** Of the ProviderError that it becomes. */
  readonly code: string;
  readonly hint: string;
  /** Whether another text would have passed. */
  readonly scope: 'text' | 'service';
  readonly status?: number | undefined;
  /** What the service asked to wait. */
  readonly retryAfterMs?: number | undefined;
  /** Of `too-large`: there are too many texts, however short they are. */
  readonly isAboutCount?: boolean;
  /** The texts may have been embedded, and paid for, although no vectors came. */
  readonly mayCost?: boolean;
}

/** One attempt that failed, before it is decided whether there is another one. Its message holds no key. */
export class RequestFailure extends Error {
  readonly details: FailureDetails;

  constructor(message: string, details: FailureDetails) {
    super(message);
    this.name = 'RequestFailure';
    this.details = details;
  }
}
