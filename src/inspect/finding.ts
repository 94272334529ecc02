import { PreflightError, ReembedError, type Step } from '../errors.ts';

/** One thing that an inspection found. An `error` stands in the way; a `warning` is for a person to weigh. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** Stable across releases. */
  readonly code: string;
  /** One sentence: the object, what is observed, what was expected. */
  readonly message: string;
  /** The next command or setting. */
  readonly hint: string;
}

export function errorFinding(code: string, message: string, hint: string): Finding {
  return { severity: 'error', code, message, hint };
}

export function warningFinding(code: string, message: string, hint: string): Finding {
  return { severity: 'warning', code, message, hint };
}

/** The finding behind an error that was thrown on purpose; anything else is thrown on. */
export function findingOf(error: unknown): Finding {
  if (!(error instanceof ReembedError)) throw error;
  return errorFinding(error.code, error.message, error.hint ?? '');
}

/**
 * Throws when a finding stands in the way: one as itself, several with one line each.
 *
 * @throws PreflightError with the finding's code, or `preflight` for several; `context.findings` has them all
 */
export function refuseErrors(findings: readonly Finding[], migrationId: string, step: Step): void {
  const errors = findings.filter((finding) => finding.severity === 'error');
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) {
    throw new PreflightError(first.code, first.message, { step, hint: first.hint, context: { findings: errors } });
  }
  const lines = errors.map((finding) => `  - ${finding.message} ${finding.hint}`.trimEnd());
  throw new PreflightError(
    'preflight',
    `${errors.length} things stand in the way of the migration "${migrationId}":\n${lines.join('\n')}`,
    {
      step,
      hint: 'Correct them and run the same command again; "reembed doctor" shows them at any time.',
      context: { findings: errors },
    },
  );
}
