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

/** `64 MB`, `1.5 GB`: powers of 1,024, as Postgres writes its settings. */
export function megabytes(value: number): string {
  const mb = value / 2 ** 20;
  if (mb >= 1024) return `${Number((mb / 1024).toPrecision(3))} GB`;
  return mb >= 10 ? `${Math.round(mb)} MB` : `${Number(mb.toPrecision(2))} MB`;
}

/** `$1,234.50`, `−$20.00`; below a dollar with up to four places, below a cent with six, so that the price of few texts shows. */
export function usd(value: number): string {
  const places = Math.abs(value) >= 1 || value === 0 ? 2 : Math.abs(value) >= 0.01 ? 4 : 6;
  const text = Math.abs(value).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: places });
  return `${value < 0 ? '−' : ''}$${text}`;
}
