/** The word that goes with a count: `plural(1, 'row')` is `row`, `plural(2, 'has', 'have')` is `have`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? one : many;
}
