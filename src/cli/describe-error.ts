import { messageOf } from '../errors.ts';

/** An error as `--json` prints it. */
export interface ErrorDocument {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly context: unknown;
}

/** Errors thrown on purpose keep their code; all others are `unexpected`. */
export function errorDocument(error: unknown): ErrorDocument {
  const onPurpose = error instanceof Error && 'step' in error && 'context' in error && 'code' in error;
  if (!onPurpose) return { code: 'unexpected', message: messageOf(error), hint: null, context: {} };
  const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : null;
  return { code: String(error.code), message: error.message, hint, context: error.context };
}

/** Message and hint; with `verbose` the stack, and that of each cause. */
export function errorText(error: unknown, verbose: boolean): string {
  const { message, hint, code } = errorDocument(error);
  const lines = [`reembed: ${message}`];
  if (hint !== null) lines.push(hint);
  if (verbose) return [...lines, ...stacks(error)].join('\n');
  if (code === 'unexpected') lines.push('This error was not foreseen; --verbose shows where it happened.');
  return lines.join('\n');
}

function stacks(error: unknown): string[] {
  const lines: string[] = [];
  for (let current = error; current instanceof Error; current = current.cause) {
    lines.push(`${lines.length === 0 ? '' : 'caused by '}${current.stack ?? current.message}`);
  }
  return lines;
}
