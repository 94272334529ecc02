import { DURATION_EXPECTED, parseDuration } from '../config/env-values.ts';

/** For a flag's `coerce`: milliseconds; told by the flag's name when it is no time. */
export function duration(flag: string): (value: unknown) => number | undefined {
  return (value) => {
    if (value === undefined) return undefined;
    const milliseconds = parseDuration(String(value));
    if (milliseconds !== undefined) return milliseconds;
    throw new Error(`--${flag} is ${JSON.stringify(value)}, expected ${DURATION_EXPECTED}`);
  };
}
