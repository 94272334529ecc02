/** A condition with its values kept apart: `$1`, `$2` … are numbered when it takes its place in a statement. */
export interface SqlFragment {
  /** One part more than `params`: a value stands between every two. */
  readonly parts: readonly string[];
  readonly params: readonly unknown[];
}

/**
 * A condition for a search, values as parameters: ``where`lang = ${lang} AND created_at > ${since}` ``. The columns are those of the
 * table that is searched. A fragment as a value is put in as SQL, with its own values.
 */
export function where(strings: TemplateStringsArray, ...values: readonly unknown[]): SqlFragment {
  const parts: string[] = [strings[0] ?? ''];
  const params: unknown[] = [];
  for (const [i, value] of values.entries()) {
    if (isFragment(value)) {
      const [first = '', ...rest] = value.parts;
      append(parts, first);
      parts.push(...rest);
      params.push(...value.params);
      append(parts, strings[i + 1] ?? '');
    } else {
      params.push(value);
      parts.push(strings[i + 1] ?? '');
    }
  }
  return { parts, params };
}

/** The fragment's SQL, its first value as `$<first>`. */
export function fragmentSql({ parts, params }: SqlFragment, first: number): string {
  return parts.map((part, i) => (i < params.length ? `${part}$${first + i}` : part)).join('');
}

function isFragment(value: unknown): value is SqlFragment {
  return typeof value === 'object' && value !== null && 'parts' in value && 'params' in value;
}

function append(parts: string[], text: string): void {
  parts.push(`${parts.pop() ?? ''}${text}`);
}
