import type { ExitCode } from './command.ts';

/**
 * The exit code of an error. By name, not by class: a project's migrations may load reembed a second time, as CommonJS, and
 * its classes are then others.
 */
export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof Error)) return 1;
  if (error.name === 'ConfigError') return 2;
  return error.name === 'InterruptedError' ? 130 : 1;
}
