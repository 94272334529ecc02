import { AdapterError, type ErrorDetails, ModelError, type ReembedError } from '../errors.ts';
import type { NativeSection } from '../models/native-section.ts';
import type { TimedFit } from './fit-kinds.ts';
import type { FitSettings, Pairs } from './fit-types.ts';
import type { ProjectionKind } from './types.ts';

/** What a training thread is started with. */
export interface FitTask {
  readonly kinds: readonly ProjectionKind[];
  readonly pairs: Pairs;
  readonly settings: FitSettings & { readonly threads: number };
  readonly section: NativeSection;
}

/** An error on its way between threads, where classes are lost. */
export interface FitFailure {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly details: ErrorDetails;
}

export type FitReply =
  | { readonly kind: 'fitted'; readonly outcomes: readonly (readonly [ProjectionKind, TimedFit | FitFailure])[] }
  | { readonly kind: 'failed'; readonly failure: FitFailure };

export function failureOf(error: ReembedError): FitFailure {
  const { name, code, message, hint, step, context } = error;
  const details = { context, ...(hint === undefined ? {} : { hint }), ...(step === undefined ? {} : { step }) };
  return { name, code, message, details };
}

export function errorOf({ name, code, message, details }: FitFailure): AdapterError | ModelError {
  return name === 'ModelError' ? new ModelError(code, message, details) : new AdapterError(code, message, details);
}

export function isFailure(outcome: TimedFit | FitFailure): outcome is FitFailure {
  return 'code' in outcome;
}
