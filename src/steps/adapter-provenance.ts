import type { ProjectionEntry } from '../adapters/types.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { embeddableSql, notEmbeddedSql } from '../sql/pending.ts';
import { tableSql } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { readModel } from '../state/models.ts';
import type { ResolvedMigration } from '../state/resolve.ts';

/** Who mapped vectors are from: another file is another adapter. */
export function adaptedFingerprint(entry: ProjectionEntry): ModelFingerprint {
  return {
    provider: 'adapted',
    name: `adapted:${entry.id}`,
    revision: null,
    dimensions: entry.target.dimensions,
    dtype: null,
    pooling: null,
    normalize: entry.target.fingerprint.normalize === true,
    prefixes: { document: '', query: '' },
    files: { [entry.file]: entry.sha256 },
  };
}

/** Vectors of a column that an adapter made. */
export interface AdaptedRows {
  /** `adapted:<id>`. */
  readonly name: string;
  readonly rows: number;
  /** Of these, the ones without a text that a model could embed. */
  readonly withoutText: number;
}

/** Counts by reading the whole table; undefined where no adapter is recorded. */
export async function countAdapted(
  ctx: MigrationContext,
  { record, target }: Pick<ResolvedMigration, 'record' | 'target'>,
): Promise<AdaptedRows | undefined> {
  const { adaptedModelId } = record;
  if (adaptedModelId === null) return undefined;
  const made = notEmbeddedSql({ ...target, adapted: { modelId: adaptedModelId, as: 'replaced' } }, 't', adaptedModelId);
  const { rows } = await ctx.db.query<Pick<AdaptedRows, 'rows' | 'withoutText'>>(
    `SELECT pg_catalog.count(*)::float8 AS rows, pg_catalog.count(*) FILTER (WHERE ${embeddableSql(target, 't')} IS NOT TRUE)::float8 AS "withoutText"
     FROM ${tableSql(target)} t WHERE ${made} AND t.${quoteIdentifier(target.column)} IS NOT NULL`,
  );
  const maker = await readModel(ctx.db, ctx.runtime.stateSchema, adaptedModelId);
  return { name: String(maker?.name), rows: rows[0]?.rows ?? 0, withoutText: rows[0]?.withoutText ?? 0 };
}
