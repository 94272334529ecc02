import { messageOf, PreflightError, ReembedError, type Step } from '../errors.ts';
import { type FindingCode, whyOf } from './catalogue.ts';

/** One thing that an inspection found. An `error` stands in the way; a `warning` is for a person to weigh; a `note` offers something. */
export interface Finding {
  readonly severity: 'error' | 'warning' | 'note';
  /** Stable across releases. */
  readonly code: string;
  /** One sentence: the object, what is observed, what was expected. */
  readonly message: string;
  /** One sentence: what comes of it when nobody does anything. */
  readonly why: string;
  /** The next command or setting. */
  readonly hint: string;
}

export function errorFinding(code: FindingCode, message: string, hint: string): Finding {
  return { severity: 'error', code, message, why: whyOf(code), hint };
}

export function warningFinding(code: FindingCode, message: string, hint: string): Finding {
  return { severity: 'warning', code, message, why: whyOf(code), hint };
}

export function noteFinding(code: FindingCode, message: string, hint: string): Finding {
  return { severity: 'note', code, message, why: whyOf(code), hint };
}

/** The finding behind an error that was thrown on purpose; anything else is thrown on. */
export function findingOf(error: unknown): Finding {
  if (!(error instanceof ReembedError)) throw error;
  const { code, message, hint = '' } = error;
  return { severity: 'error', code, message, why: whyOf(code), hint };
}

/** An error as a finding, whatever was thrown: a look at a model must not end the looks at all the rest. */
export function errorOf(error: unknown, why: string, hint: string, code: FindingCode = 'probe_failed'): Finding {
  const isOurs = error instanceof ReembedError;
  const said = messageOf(error);
  return {
    severity: 'error',
    code: isOurs ? error.code : code,
    message: /[.!?]$/.test(said) ? said : `${said}.`,
    why,
    hint: (isOurs ? error.hint : undefined) ?? hint,
  };
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
