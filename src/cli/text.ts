export { bytes, count, number } from '../amounts.ts';

/** `$12.40`, `$0.000213`: cents, below a dollar as far as millionths. */
export function dollars(value: number): string {
  if (value >= 1 || value === 0) return `$${value.toFixed(2)}`;
  return value < 1e-6 ? 'less than $0.000001' : `$${value.toFixed(6).replace(/0+$/, '')}`;
}

/** Two columns, the second one aligned. */
export function columns(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd()).join('\n');
}

/** Text on one line of at most `width` characters. */
export function shorten(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}
