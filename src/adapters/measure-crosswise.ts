import { correlationSums } from '../vector/correlation.ts';
import type { MappedPairs } from './measure-pairs.ts';
import { openSimilarities } from './similarities.ts';

/**
 * Whether adapted vectors lie to the real ones as these do to each other: the correlation of cosines real × adapted with real × real, a vector with
 * itself left out. Similarities among the adapted alone stay the same under every rotation, and would not show that no real query finds them.
 */
export async function measureCrosswise({ adapted, real }: MappedPairs): Promise<number> {
  const similarities = await openSimilarities();
  try {
    const sums = correlationSums();
    const crosswise = similarities.blocks(real, adapted);
    for await (const block of similarities.blocks(real, real)) {
      // Of matrices of one shape, so that the parts are of the same rows.
      const across = (await crosswise.next()).value?.values ?? new Float32Array(0);
      for (let row = 0; row < block.rows; row++) {
        for (let column = 0; column < block.columns; column++) {
          if (column === block.first + row) continue;
          const at = row * block.columns + column;
          sums.add(block.values[at] ?? 0, across[at] ?? 0);
        }
      }
    }
    return sums.value();
  } finally {
    await similarities.close();
  }
}
