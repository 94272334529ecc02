import { plural } from './plural.ts';

/** `1 row`, `1,000 rows`. */
export function count(value: number, one: string, many?: string): string {
  return `${number(value)} ${plural(value, one, many)}`;
}

export function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `512 B`, `1.5 MB`: powers of 1,000, three digits. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${Number((value / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/** `$1,234.50`, `−$20.00`; below a dollar with up to four places, so that cents and their parts show. */
export function usd(value: number): string {
  const places = Math.abs(value) < 1 && value !== 0 ? 4 : 2;
  const text = Math.abs(value).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: places });
  return `${value < 0 ? '−' : ''}$${text}`;
}
