import type { ModelReference } from '../../config/types.ts';
import type { MigrationContext } from '../../state/context.ts';
import { readModel, type StoredFingerprint } from '../../state/models.ts';
import type { MigrationRecord } from '../../state/records.ts';
import type { TableFacts } from '../facts.ts';

/** What is known of the vectors in the column that the application uses. */
export interface StoredSpace {
  /** `schema.table.column`, for people. */
  readonly where: string;
  /** Undefined of an empty column that declares none. */
  readonly dimensions: number | undefined;
  /** Of their model, where a migration of reembed put them there. */
  readonly fingerprint: StoredFingerprint | undefined;
  /** The model that the configuration says they are from; undefined where it says none, or is overruled by `fingerprint`. */
  readonly reference: ModelReference | undefined;
  /** Whose vectors they are to this migration. */
  readonly side: 'old' | 'new';
}

/** The last migration that put its vectors into the column tells their model; else the definition's `from` does, where its size is theirs. */
export async function readStoredSpace(
  ctx: MigrationContext,
  { table, oldDimensions }: Pick<TableFacts, 'table' | 'oldDimensions'>,
  records: readonly MigrationRecord[],
): Promise<StoredSpace> {
  const { definition, db, runtime } = ctx;
  const served = records
    .filter(
      ({ tableOid, column, active }) => tableOid === table.oid && column === definition.column && active === 'new',
    )
    .sort((a, b) => ((a.swappedAt ?? '') < (b.swappedAt ?? '') ? -1 : 1))
    .at(-1);
  const modelId = served?.modelId ?? null;
  const { from } = definition;
  return {
    where: `${table.schema}.${table.name}.${definition.column}`,
    dimensions: oldDimensions,
    fingerprint: modelId === null ? undefined : await readModel(db, runtime.stateSchema, modelId),
    reference: modelId === null && from?.dimensions === oldDimensions ? from : undefined,
    side: served?.id === definition.id ? 'new' : 'old',
  };
}

/** The model's name where it is known. */
export function nameOfSpace({
  fingerprint,
  reference,
}: Pick<StoredSpace, 'fingerprint' | 'reference'>): string | undefined {
  const name = fingerprint?.configuredAs ?? fingerprint?.name ?? reference?.model;
  return name === undefined ? undefined : String(name);
}
