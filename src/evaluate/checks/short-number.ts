/** With up to three decimals, as a person reads a similarity: `0.83`, `1`, `0.004`; `unknown` of NaN. */
export function shortNumber(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : 'unknown';
}
