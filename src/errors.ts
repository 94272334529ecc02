/** The three migrations and what stands around them; names the place an error came from. */
export type Step =
  | 'configuration'
  | 'expand'
  | 'fill'
  | 'cut-over'
  | 'sync'
  | 'finalize'
  | 'keyword'
  | 'backup'
  | 'restore'
  | 'tune'
  | 'adapter'
  | 'inspect';

export interface ErrorDetails {
  /** The step that failed. */
  readonly step?: Step;
  /** The next command or setting, as a sentence for a person. */
  readonly hint?: string;
  /** Observed and expected values for logs and `--json`; never secrets. */
  readonly context?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** On every error of ours, whichever copy of this module made it. */
const OURS = Symbol.for('reembed.error');

/**
 * The base of every error that reembed throws on purpose. `code` is stable across releases; `message` says what failed,
 * names the object and gives observed against expected; `hint` is the next command.
 */
export class ReembedError extends Error {
  readonly code: string;
  readonly step: Step | undefined;
  readonly hint: string | undefined;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.step = details.step;
    this.hint = details.hint;
    this.context = details.context ?? {};
    Object.defineProperty(this, OURS, { value: true });
  }

  /** Also by name: a project's migrations may load reembed a second time, as CommonJS beside ESM, and that copy's classes are others. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore-start lint/complexity/noThisInStatic: the class that is asked, which is often a subclass
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    return value instanceof Error && OURS in value && (this === ReembedError || value.name === this.name);
    // biome-ignore-end lint/complexity/noThisInStatic: as above
  }
}

/** The configuration or the command line is wrong; nothing was touched. Exit code 2. */
export class ConfigError extends ReembedError {}

/** The table, the database or its rights do not allow the migration; nothing was changed. */
export class PreflightError extends ReembedError {}

/** Postgres failed or could not be reached. */
export class DatabaseError extends ReembedError {}

/** A model's files are missing, altered or not understood, or inference failed. */
export class ModelError extends ReembedError {}

/** A projection cannot be learned, is missing, altered or of other models, or loses more than was allowed; nothing was changed. */
export class AdapterError extends ReembedError {}

/**
 * A provider answered wrongly or not at all. `retryable` tells whether the same call may succeed later, `scope` whether another text would
 * have passed: only then is it worth looking for the one that is at fault.
 */
export class ProviderError extends ReembedError {
  readonly retryable: boolean;
  readonly scope: 'text' | 'service';

  /** `scope` is `text` unless said. */
  constructor(
    code: string,
    message: string,
    details: ErrorDetails & { readonly retryable: boolean; readonly scope?: 'text' | 'service' },
  ) {
    super(code, message, details);
    this.retryable = details.retryable;
    this.scope = details.scope ?? 'text';
  }
}

/** Vectors that must not be stored, or rows that are missing where all were promised. */
export class IntegrityError extends ReembedError {}

/** Another process holds the migration's lease. */
export class BusyError extends ReembedError {}

/** A signal, a time limit or an abort stopped the work at a batch boundary; the same command resumes it. Exit code 130. */
export class InterruptedError extends ReembedError {}

/** The message of anything that was thrown, without losing what is not an Error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
