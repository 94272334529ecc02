import { buildMemoryBytes } from '../sql/build-resources.ts';
import { quoteLiteral, quoteQualified } from '../sql/identifiers.ts';
import type { IndexCandidate } from '../sql/index-candidates.ts';
import type { IndexDefinition } from '../sql/index-definition.ts';
import type { VectorTarget } from '../sql/target.ts';
import { type IndexDistance, vectorIndexDefinition } from '../sql/vector-index.ts';
import type { MigrationContext } from '../state/context.ts';
import { buildIndex, dropIndexConcurrently } from './build-index.ts';

export interface BuiltCandidate {
  readonly name: string;
  readonly definition: IndexDefinition;
  readonly seconds: number;
  readonly bytes: number;
}

/** Builds a candidate on a table of its own, hands it over and drops it again. */
export async function withCandidate<T>(
  ctx: MigrationContext,
  target: VectorTarget,
  of: { readonly candidate: IndexCandidate; readonly rows: number; readonly distance: IndexDistance },
  work: (built: BuiltCandidate) => Promise<T>,
): Promise<T> {
  const { candidate, rows, distance } = of;
  const { kind, quantization } = candidate;
  const choice = { kind, options: candidate.options(rows) };
  const definition = vectorIndexDefinition(target, choice, distance, quantization);
  const name = `${target.table}_idx`;
  const started = performance.now();
  await buildIndex(ctx, {
    schema: target.schema,
    table: target.table,
    name,
    label: `${kind} (${candidate.name})`,
    definition,
    memoryBytes: buildMemoryBytes(definition, target, rows),
    step: 'tune',
  });
  try {
    const seconds = (performance.now() - started) / 1000;
    const index = quoteLiteral(quoteQualified(target.schema, name));
    const { rows: sizes } = await ctx.db.query<{ bytes: number }>(
      `SELECT pg_catalog.pg_relation_size(${index}::pg_catalog.regclass)::float8 AS bytes`,
    );
    return await work({ name, definition, seconds, bytes: sizes[0]?.bytes ?? 0 });
  } finally {
    await dropIndexConcurrently(ctx, target.schema, name);
  }
}
