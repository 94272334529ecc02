import { quoteIdentifier, quoteQualified } from './identifiers.ts';

/** `CREATE INDEX …` taken apart; the parts in parentheses stay SQL text. */
export interface IndexDefinition {
  readonly unique: boolean;
  readonly method: string;
  /** What stands in the key's parentheses. */
  readonly keys: string;
  readonly include: string | undefined;
  readonly nullsNotDistinct: boolean;
  /** Storage parameters, without quotes. */
  readonly options: Readonly<Record<string, string>>;
  /** The database's own unless said: pg_get_indexdef does not print it. */
  readonly tablespace?: string | undefined;
  readonly predicate: string | undefined;
}

/** A column and the dimensions that its casts in expressions carry. */
export interface IndexedColumn {
  readonly column: string;
  readonly dimensions: number;
}

// Quoted identifiers, strings (plain and E''), words, numbers, casts, any other character.
const TOKEN =
  /"(?:[^"]|"")*"|[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|[\p{L}_][\p{L}\p{N}_$]*|\d+(?:\.\d+)?|::|\s+|./gsu;

function tokenize(sql: string): string[] {
  return sql.match(TOKEN) ?? [];
}

const isSpace = (token: string): boolean => /^\s+$/.test(token);

/**
 * Takes apart what pg_get_indexdef gives.
 *
 * @throws RangeError for anything else
 */
export function parseIndexDefinition(sql: string): IndexDefinition {
  const tokens = tokenize(sql);
  const using = tokens.findIndex((token) => token.toUpperCase() === 'USING');
  const method = tokens.slice(using + 1).find((token) => !isSpace(token));
  const open = tokens.indexOf('(', using);
  if (!/^\s*CREATE\s+(UNIQUE\s+)?INDEX\s/i.test(sql) || using < 0 || method === undefined || open < 0) {
    throw new RangeError(`not an index definition: ${sql}`);
  }
  const keysEnd = closing(tokens, open);
  const rest = clauses(tokens.slice(keysEnd + 1));
  return {
    unique: /^\s*CREATE\s+UNIQUE\s/i.test(sql),
    method,
    keys: tokens.slice(open + 1, keysEnd).join(''),
    include: rest.get('INCLUDE'),
    nullsNotDistinct: rest.has('NULLS'),
    options: parseOptions(rest.get('WITH') ?? ''),
    predicate: rest.get('WHERE'),
  };
}

/** The clauses after the key, by their first word; those in parentheses without them. */
function clauses(tokens: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let i = 0; i < tokens.length; i++) {
    const word = (tokens[i] ?? '').toUpperCase();
    if (word === 'WHERE') {
      found.set(
        'WHERE',
        tokens
          .slice(i + 1)
          .join('')
          .trim(),
      );
      break;
    }
    if (word === 'NULLS') found.set('NULLS', '');
    if (word !== 'INCLUDE' && word !== 'WITH') continue;
    const open = tokens.indexOf('(', i);
    const end = closing(tokens, open);
    found.set(word, tokens.slice(open + 1, end).join(''));
    i = end;
  }
  return found;
}

function closing(tokens: readonly string[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i] === '(') depth++;
    if (tokens[i] === ')' && --depth === 0) return i;
  }
  throw new RangeError(`unbalanced parentheses: ${tokens.join('')}`);
}

function parseOptions(sql: string): Record<string, string> {
  const entries = [...sql.matchAll(/([\w.]+)\s*=\s*(?:'((?:[^']|'')*)'|([^,\s]+))/g)];
  return Object.fromEntries(entries.map(([, name, quoted, bare]) => [name, quoted ?? bare ?? '']));
}

/** The key's expression and its operator class (with whatever follows it); for keys of one part. */
export function splitKey(keys: string): { readonly expression: string; readonly operatorClass: string } {
  const tokens = tokenize(keys.trim());
  let end = 0;
  if (tokens[0] === '(') end = closing(tokens, 0) + 1;
  else {
    end = 1;
    while (tokens[end] === '.') end += 2;
    if (tokens[end] === '(') end = closing(tokens, end) + 1;
  }
  return { expression: tokens.slice(0, end).join(''), operatorClass: tokens.slice(end).join('').trim() };
}

/** The name that a bare or quoted identifier stands for. */
export function unquote(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token;
}

/** Puts another column in the place of one, in SQL over a single table; casts to the old dimensions get the new ones. */
export function retargetExpression(sql: string, from: IndexedColumn, to: IndexedColumn): string {
  const tokens = tokenize(sql);
  return tokens
    .map((token, i) => {
      if (/^\d+$/.test(token)) return isCastDimension(tokens, i, from.dimensions) ? String(to.dimensions) : token;
      if (!/^["\p{L}_]/u.test(token) || unquote(token) !== from.column) return token;
      const before = neighbour(tokens, i, -1);
      const after = neighbour(tokens, i, 1);
      const isColumn = before !== '.' && before !== '::' && after !== '.' && after !== '(';
      return isColumn ? quoteIdentifier(to.column) : token;
    })
    .join('');
}

function neighbour(tokens: readonly string[], at: number, step: 1 | -1): string | undefined {
  let i = at + step;
  while (tokens[i] !== undefined && isSpace(tokens[i] ?? '')) i += step;
  return tokens[i];
}

/** `::halfvec(1536)`, `::public.vector(1536)`, `::bit(1536)`. */
function isCastDimension(tokens: readonly string[], at: number, dimensions: number): boolean {
  const head = tokens.slice(Math.max(0, at - 6), at).join('');
  return (
    tokens[at] === String(dimensions) &&
    /::\s*(?:(?:"(?:[^"]|"")*"|[^\s:."]+)\.)?"?(?:vector|halfvec|sparsevec|bit)"?\s*\($/i.test(head)
  );
}

/** `CREATE INDEX CONCURRENTLY` under a name; `only`: that of a partitioned table itself, which stays invalid until all partitions have theirs. */
export function createIndexSql(
  table: { readonly schema: string; readonly table: string },
  name: string,
  definition: IndexDefinition,
  how: 'concurrently' | 'only' = 'concurrently',
): string {
  const options = Object.entries(definition.options).map(([key, value]) => `${key} = '${value.replaceAll("'", "''")}'`);
  return [
    `CREATE ${definition.unique ? 'UNIQUE ' : ''}INDEX ${how === 'only' ? '' : 'CONCURRENTLY '}${quoteIdentifier(name)}`,
    `ON ${how === 'only' ? 'ONLY ' : ''}${quoteQualified(table.schema, table.table)} USING ${definition.method} (${definition.keys})`,
    ...(definition.include === undefined ? [] : [`INCLUDE (${definition.include})`]),
    ...(definition.nullsNotDistinct ? ['NULLS NOT DISTINCT'] : []),
    ...(options.length === 0 ? [] : [`WITH (${options.join(', ')})`]),
    ...(definition.tablespace === undefined ? [] : [`TABLESPACE ${quoteIdentifier(definition.tablespace)}`]),
    ...(definition.predicate === undefined ? [] : [`WHERE ${definition.predicate}`]),
  ].join(' ');
}

/** True when an existing index is what would be built; list counts may differ by a tenth, as the table grows between two runs. */
export function isSameIndex(existing: IndexDefinition, wanted: IndexDefinition): boolean {
  const shape = (d: IndexDefinition): string =>
    JSON.stringify([
      d.unique,
      d.method,
      withoutDefaultClass(d),
      d.include && normalize(d.include),
      normalize(d.predicate ?? ''),
    ]);
  if (shape(existing) !== shape(wanted)) return false;
  const names = new Set([...Object.keys(existing.options), ...Object.keys(wanted.options)]);
  return [...names].every((name) => {
    const [a, b] = [existing.options[name], wanted.options[name]];
    if (name !== 'lists') return a === b;
    return Math.abs(Number(a) - Number(b)) <= 0.1 * Number(b);
  });
}

/** l2, and of bits Hamming, is IVFFlat's default, which Postgres does not print. */
function withoutDefaultClass(definition: IndexDefinition): string {
  const keys = normalize(definition.keys);
  return definition.method === 'ivfflat' ? keys.replace(/ (?:vector_l2|halfvec_l2|bit_hamming)_ops$/, '') : keys;
}

/** Postgres prints a schema and quotes only where they are needed; both are left out of the comparison. */
function normalize(sql: string): string {
  const tokens = tokenize(sql).filter((token) => !isSpace(token));
  const kept: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i + 1] === '.') i++;
    else kept.push(unquote(tokens[i] ?? ''));
  }
  return kept.join(' ');
}
