import type { z } from 'zod';
import { ConfigError } from '../errors.ts';

/** One thing that is wrong: the setting's name as the user wrote it, and observed against expected. */
export interface ConfigProblem {
  readonly name: string;
  readonly message: string;
}

/** One error for all problems of `subject`; each is named on a line of its own. */
export function invalidConfig(subject: string, problems: readonly ConfigProblem[], hint: string): ConfigError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  const lines = problems.map((problem) => `  ${problem.name} ${problem.message}`);
  return new ConfigError('config_invalid', `${subject} has ${count}:\n${lines.join('\n')}`, {
    step: 'configuration',
    hint,
    context: { problems },
  });
}

/** The issues of a schema whose messages are written as `is …, expected …`. */
export function problemsOf(error: z.ZodError): ConfigProblem[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String).join('.');
    if (issue.code !== 'unrecognized_keys') return [{ name: path, message: issue.message }];
    return issue.keys.map((key) => ({
      name: path === '' ? key : `${path}.${key}`,
      message: 'is not a setting that is known here',
    }));
  });
}

/** A value in a message: strings quoted and cut, so that a pasted document does not fill the terminal. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'function') return 'a function';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
