import { basename } from 'node:path';
import type { NewEntry } from './entry-schema.ts';
import type { ProjectionSpace } from './types.ts';

const MAX_LENGTH = 80;
/** Room for what makes an id unique: `-999`. */
const SUFFIX = 4;

/** What an entry is called unless said: `legacy-1536--all-minilm-l6-v2-384--ridge-1000`, with `query-` before the kind in that direction. */
export function projectionId({ source, target, kind, direction, samples }: NewEntry): string {
  const how = `${direction === 'query' ? 'query-' : ''}${kind}-${samples.training}`;
  const room = Math.floor((MAX_LENGTH - SUFFIX - how.length - 4) / 2);
  return [slugOf(source, room), slugOf(target, room), how].join('--');
}

/** `id`, or with the first number behind it that makes it unique. */
export function uniqueId(id: string, taken: ReadonlySet<string>): string {
  if (!taken.has(id)) return id;
  for (let number = 2; ; number++) {
    const suffix = `-${number}`;
    const numbered = `${id.slice(0, MAX_LENGTH - suffix.length)}${suffix}`;
    if (!taken.has(numbered)) return numbered;
  }
}

function slugOf({ fingerprint, dimensions }: ProjectionSpace, room: number): string {
  const known = fingerprint.name ?? fingerprint.column;
  const name = typeof known === 'string' ? known : '';
  const own = name.startsWith('hash/') ? name.replace('/', '-') : basename(name).replace(/\.(jsonl?|f16|f32)$/, '');
  const slug =
    own
      .toLowerCase()
      .replace(/[^a-z0-9.]+/g, '-')
      .replace(/^[-.]+|[-.]+$/g, '') || 'unknown';
  const suffix = `-${dimensions}`;
  const head = slug.endsWith(suffix) ? slug.slice(0, -suffix.length) : slug;
  return `${head.slice(0, Math.max(1, room - suffix.length))}${suffix}`;
}
