/** For a flag's `coerce`: a number that may have a fraction, from `min` to `max`; told by the flag's name when it is not. */
export function amount(flag: string, min = 0, max = 1e12): (value: unknown) => number | undefined {
  return (value) => {
    if (value === undefined) return undefined;
    const number = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    const range = max === 1e12 ? `a number from ${min}` : `a number from ${min} to ${max}`;
    throw new Error(`--${flag} is ${JSON.stringify(value)}, expected ${range}`);
  };
}
