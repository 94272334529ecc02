/** A quoted identifier: any name is allowed, a NUL byte is not. */
export function quoteIdentifier(name: string): string {
  if (name.length === 0 || name.includes('\u0000')) throw new RangeError('an identifier is not empty and holds no NUL');
  return `"${name.replaceAll('"', '""')}"`;
}

/** A name for a person to copy: in quotes only where it needs them, keywords aside. */
export function shownIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdentifier(name);
}

/** `"schema"."name"`; every name in generated SQL is qualified so that search_path decides nothing. */
export function quoteQualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** A string literal that is safe under either setting of standard_conforming_strings. */
export function quoteLiteral(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

const MAX_IDENTIFIER_BYTES = 63;

/**
 * `base` + `suffix`, cut to the 63 bytes that Postgres keeps. A cut name carries a short checksum of the whole, so that two
 * long names that begin alike stay different (Postgres itself would cut both to the same one).
 */
export function fitIdentifier(base: string, suffix: string): string {
  const encoder = new TextEncoder();
  const whole = base + suffix;
  if (encoder.encode(whole).length <= MAX_IDENTIFIER_BYTES) return whole;
  const tail = `_${checksum(whole)}${suffix}`;
  let kept = base;
  while (encoder.encode(kept + tail).length > MAX_IDENTIFIER_BYTES) kept = [...kept].slice(0, -1).join('');
  return kept + tail;
}

/** FNV-1a, 32 bits, in base 36: a name needs to be distinct, not secret. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(36);
}
