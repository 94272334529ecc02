/** knex orders migrations by name: numbers go on, in their width; times where the project has those, or nothing yet. */
export function nextPrefixes(existing: readonly string[], count: number, now: Date): string[] {
  const prefixes = existing.flatMap((name) => /^(\d+)[_-]/.exec(name)?.[1] ?? []);
  const numbered = prefixes.length > 0 && prefixes.every((prefix) => prefix.length < TIME_DIGITS);
  if (numbered) {
    const width = Math.max(...prefixes.map((prefix) => prefix.length));
    const last = Math.max(...prefixes.map(Number));
    return Array.from({ length: count }, (_, i) => String(last + 1 + i).padStart(width, '0'));
  }
  const last = prefixes
    .filter((prefix) => prefix.length === TIME_DIGITS)
    .sort()
    .at(-1);
  const after = last === undefined ? now : new Date(Math.max(now.getTime(), timeOf(last) + 1_000));
  return Array.from({ length: count }, (_, i) => prefixOf(new Date(after.getTime() + i * 1_000)));
}

/** YYYYMMDDHHMMSS, as `knex migrate:make` writes it. */
const TIME_DIGITS = 14;

function prefixOf(time: Date): string {
  return time.toISOString().replaceAll(/\D/g, '').slice(0, TIME_DIGITS);
}

function timeOf(prefix: string): number {
  const [, date, hours, minutes, seconds] = /^(\d{8})(\d\d)(\d\d)(\d\d)$/.exec(prefix) ?? [];
  const day = `${date?.slice(0, 4)}-${date?.slice(4, 6)}-${date?.slice(6, 8)}`;
  const time = Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`);
  return Number.isNaN(time) ? 0 : time;
}

const MAX_ID = 40;

/** A migration's id out of names as people write them: `segments-bge-small-en-v1-5`. */
export function makeId(parts: readonly string[], taken: readonly string[] = []): string {
  const slug = parts.map((part) => part.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')).join('-');
  const base =
    slug
      .replaceAll(/-+/g, '-')
      .replace(/^[^a-z]+/, '')
      .replace(/-$/, '') || 'migration';
  for (let n = 1; ; n++) {
    const suffix = n === 1 ? '' : `-${n}`;
    const id = `${base.slice(0, MAX_ID - suffix.length).replace(/-$/, '')}${suffix}`;
    if (!taken.includes(id)) return id;
  }
}
