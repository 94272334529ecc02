import { number } from '../amounts.ts';
import { LOOK_LIMIT } from '../state/sync-mark.ts';

export { bytes, count, number, usd } from '../amounts.ts';

/** Two columns, the second one aligned. */
export function columns(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd()).join('\n');
}

/** A count of a look that ends at its limit: `7`, `1,000 or more`. */
export function looked(value: number): string {
  return value < LOOK_LIMIT ? number(value) : `${number(value)} or more`;
}

/** Text on one line of at most `width` characters. */
export function shorten(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}
