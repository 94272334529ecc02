import type { QualifiedName } from './types.ts';

const MAX_NAME_BYTES = 63;
const PART = /^(?:"((?:[^"]|"")+)"|([^".]+))$/;

/**
 * Reads `segments`, `app.segments` or `"My Schema"."My.Table"`. Names are taken as they are stored: like knex, and unlike
 * SQL, an unquoted name is not folded to lower case; quotes are needed only around a dot or a quote.
 *
 * @returns undefined when the text is not one name or two joined by a dot
 */
export function parseQualifiedName(text: string): QualifiedName | undefined {
  const parts = text.match(/"(?:[^"]|"")*"|[^".]+|[".]/g) ?? [];
  const [first, dot, second] = parts;
  if (parts.length === 1) {
    const name = readPart(first);
    return name === undefined ? undefined : { schema: undefined, name };
  }
  if (parts.length !== 3 || dot !== '.') return undefined;
  const schema = readPart(first);
  const name = readPart(second);
  return schema === undefined || name === undefined ? undefined : { schema, name };
}

/** What is wrong with a name of a column, a schema or a table as Postgres stores it; undefined when nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'is empty, expected a name';
  if (name.includes('\u0000')) return 'holds a NUL character, which no name in Postgres can';
  const bytes = Buffer.byteLength(name);
  if (bytes > MAX_NAME_BYTES) return `is ${bytes} bytes long, expected at most ${MAX_NAME_BYTES}`;
  return undefined;
}

function readPart(part: string | undefined): string | undefined {
  const match = part === undefined ? null : PART.exec(part);
  if (match === null) return undefined;
  const name = match[1]?.replaceAll('""', '"') ?? match[2];
  return name === undefined || nameProblem(name) !== undefined ? undefined : name;
}
