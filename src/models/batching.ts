export interface BatchLimits {
  /** Tokens of a batch at most, padding counted in; a single longer text is a batch of its own. */
  readonly tokens: number;
  /** Texts of a batch at most. */
  readonly texts: number;
  /** What starting one more batch costs, in tokens: less padding than this is cheaper than another batch. */
  readonly overhead?: number;
}

/**
 * What starting a batch costs, in tokens. On a CPU an almost empty batch takes as long as 8 (int8) to 12 (fp32) more
 * tokens in a batch that runs anyway; another device waits for some hundred kernels to be launched.
 */
export const BATCH_OVERHEAD = { cpu: 12, device: 1024 };

/**
 * Groups texts of like length so that the least is computed: sorted by length, then cut where padding and starting
 * batches together cost least. Where a length fills a batch, or nearly, that batch has no padding. Longest first: the
 * short batches at the end keep all workers busy until the last. Each index occurs once; no batch is empty.
 * @param lengths tokens of each text.
 * @returns batches of indexes into `lengths`.
 */
export function planBatches(lengths: readonly number[], limits: BatchLimits): readonly (readonly number[])[] {
  const order = lengths.map((_, index) => index).sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0) || a - b);
  const starts = cheapestStarts(
    order.map((index) => lengths[index] ?? 0),
    limits,
  );
  const batches: number[][] = [];
  for (let end = order.length; end > 0; end = starts[end] ?? 0) batches.push(order.slice(starts[end] ?? 0, end));
  return batches.reverse();
}

/**
 * Shortest path over all ways to cut `sorted` (longest first) into batches.
 * @returns for each end, where the last batch before it starts.
 */
function cheapestStarts(sorted: readonly number[], limits: BatchLimits): Int32Array {
  const overhead = limits.overhead ?? BATCH_OVERHEAD.cpu;
  const costs = new Float64Array(sorted.length + 1).fill(Number.POSITIVE_INFINITY, 1);
  const starts = new Int32Array(sorted.length + 1);
  sorted.forEach((longest, start) => {
    const before = (costs[start] ?? 0) + overhead;
    const fitting = Math.max(1, Math.min(limits.texts, Math.floor(limits.tokens / Math.max(1, longest))));
    const last = Math.min(sorted.length, start + fitting);
    let padding = 0;
    for (let end = start + 1; end <= last; end++) {
      padding += longest - (sorted[end - 1] ?? 0);
      // In a cheapest plan no cut saves more padding than it costs, so padding is at most overhead · (1 + 1/2 + 1/3 …).
      if (padding > overhead * (1 + Math.log(end - start))) break;
      const cost = before + (end - start) * longest;
      if (cost < (costs[end] ?? 0)) {
        costs[end] = cost;
        starts[end] = start;
      }
    }
  });
  return starts;
}

/** Share of what a plan computes that is padding, 0 to 1. */
export function paddingShare(lengths: readonly number[], batches: readonly (readonly number[])[]): number {
  let used = 0;
  let computed = 0;
  for (const batch of batches) {
    let longest = 0;
    for (const index of batch) {
      used += lengths[index] ?? 0;
      longest = Math.max(longest, lengths[index] ?? 0);
    }
    computed += longest * batch.length;
  }
  return computed === 0 ? 0 : 1 - used / computed;
}
