/** For a flag's `coerce`: a whole number from `min`, told by the flag's name when it is not. */
export function wholeNumber(flag: string, min: number): (value: unknown) => number | undefined {
  return (value) => {
    if (value === undefined) return undefined;
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (Number.isSafeInteger(number) && number >= min) return number;
    throw new Error(`--${flag} is ${JSON.stringify(value)}, expected a whole number from ${min}`);
  };
}
