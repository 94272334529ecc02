import type { EmbeddingProvider } from '../providers/types.ts';
import { adaptedSql } from '../sql/pending.ts';
import type { VectorTarget } from '../sql/target.ts';
import { textSql } from '../sql/text-source.ts';
import type { MigrationContext } from '../state/context.ts';
import { decodeVector } from '../vector/binary.ts';
import { ascending, quantile } from '../vector/distribution.ts';
import { cosine } from '../vector/math.ts';
import { readStored, sentVectorSql } from './read-stored.ts';
import { withTextSql } from './stored-vectors.ts';

/** How near adapted vectors are to what the model itself makes of the same texts. */
export interface Nearness {
  readonly rows: number;
  readonly meanCosine: number;
  readonly p5Cosine: number;
}

/** Texts that a service may be paid for: what is asked is an information, and for a mean these are enough. */
const ROWS = 200;

/** Embeds the texts of 200 adapted rows; those that lost their text take no part. Undefined where none has one. */
export async function measureNearness(
  ctx: MigrationContext,
  target: VectorTarget,
  { seed, provider }: { readonly seed: number; readonly provider: () => Promise<EmbeddingProvider> },
): Promise<Nearness | undefined> {
  const columns = [`${textSql(target.text, 't')}::text AS text`, `${sentVectorSql(target, 't')} AS vector`];
  const where = `${withTextSql(target)} AND ${adaptedSql(target, 't')}`;
  const cosines: number[] = [];
  for await (const window of readStored(ctx, target, { columns, where, sampleSize: ROWS, seed })) {
    const texts = window.map(({ text }) => String(text));
    const { vectors } = await (await provider()).embed(texts, { kind: 'document', signal: ctx.signal });
    for (const [i, { vector }] of window.entries()) {
      const real = vectors[i] ?? new Float32Array(0);
      const stored = decodeVector(vector as Uint8Array);
      if (real.length === stored.length) cosines.push(cosine(stored, real));
    }
  }
  if (cosines.length === 0) return undefined;
  const meanCosine = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
  return { rows: cosines.length, meanCosine, p5Cosine: quantile(ascending(cosines), 0.05) };
}
