export interface BatchLimits {
  /** Tokens of a batch at most, padding counted in; a single longer text is a batch of its own. */
  readonly tokens: number;
  /** Texts of a batch at most. */
  readonly texts: number;
}

/**
 * Groups texts of like length, so that little is spent on padding. Longest first: the short batches at the end keep
 * all workers busy until the last. Each index occurs once; no batch is empty.
 * @param lengths tokens of each text.
 * @returns batches of indexes into `lengths`.
 */
export function planBatches(lengths: readonly number[], limits: BatchLimits): readonly (readonly number[])[] {
  const order = lengths.map((_, index) => index).sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0) || a - b);
  const batches: number[][] = [];
  let current: number[] = [];
  let longest = 0;
  for (const index of order) {
    const full = (current.length + 1) * longest > limits.tokens || current.length >= limits.texts;
    if (current.length === 0 || full) {
      current = [index];
      longest = lengths[index] ?? 0;
      batches.push(current);
    } else current.push(index);
  }
  return batches;
}
