import { readTableByOid, readVectorExtension } from '../db/catalog.ts';
import type { TableInfo, VectorExtension } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { PreflightError } from '../errors.ts';
import { type AdaptedVectors, type OldVectors, provenanceOf, type VectorTarget } from '../sql/target.ts';
import type { MigrationContext, StateContext } from './context.ts';
import { type MigrationRecord, readRecord } from './records.ts';
import { stateExists } from './schema.ts';
import { followText } from './text-column.ts';

/** A migration's record with the table as the catalog has it now. */
export interface ResolvedMigration {
  readonly record: MigrationRecord;
  readonly table: TableInfo;
  readonly extension: VectorExtension;
  /** The new vectors: `target` before the swap, `column` after it. */
  readonly target: VectorTarget;
}

export interface ResolveOptions {
  /** For what only takes columns away: it works whatever became of the text. */
  readonly withoutText?: boolean;
}

/** The record of this migration, or undefined where 005 has not run, or its state was dropped. */
export async function findRecord(ctx: StateContext, db: Queryable = ctx.db): Promise<MigrationRecord | undefined> {
  const { stateSchema } = ctx.runtime;
  if (!(await stateExists(db, stateSchema))) return undefined;
  return readRecord(db, stateSchema, ctx.definition.id);
}

/**
 * Reads record, table and extension together.
 *
 * @throws PreflightError `not_expanded` when 005 has not run here, `table_missing` when the table was dropped since, `text_renamed`, `text_gone`
 */
export async function resolveMigration(
  ctx: MigrationContext,
  options: ResolveOptions = {},
): Promise<ResolvedMigration> {
  const stored = await findRecord(ctx);
  if (stored === undefined) {
    throw new PreflightError(
      'not_expanded',
      `The migration "${ctx.definition.id}" has not been started in this database.`,
      {
        hint: 'Run "npx knex migrate:up" (or "reembed up --to 005") first.',
      },
    );
  }
  const table = await readTableByOid(ctx.db, stored.tableOid);
  const record = options.withoutText === true ? stored : await followText(ctx, stored, table);
  const extension = await readVectorExtension(ctx.db);
  return { record, table, extension, target: newVectorTarget(record, table, extension, ctx.runtime.stateSchema) };
}

/** The column of the new vectors, under the name that it has in the record's phase. */
export function newVectorTarget(
  record: Pick<
    MigrationRecord,
    'active' | 'column' | 'target' | 'text' | 'textExpression' | 'vectorType' | 'dimensions'
  > &
    Partial<Pick<MigrationRecord, 'adaptedModelId' | 'keptColumn'>>,
  table: TableInfo,
  extension: VectorExtension,
  stateSchema: string,
): VectorTarget {
  const column = record.active === 'new' ? record.column : record.target;
  return {
    schema: table.schema,
    table: table.name,
    key: table.key,
    text: record.textExpression ?? record.text,
    column,
    provenance: provenanceOf(column),
    onlyMissing: record.active === 'new',
    adapted: adaptedVectors(record, table),
    vectorType: record.vectorType,
    dimensions: record.dimensions,
    vectorSchema: extension.schema,
    stateSchema,
  };
}

function adaptedVectors(
  { adaptedModelId, active, column, keptColumn }: Parameters<typeof newVectorTarget>[0],
  table: TableInfo,
): AdaptedVectors | undefined {
  if (typeof adaptedModelId !== 'number') return undefined;
  return {
    modelId: adaptedModelId,
    as: 'kept',
    from: oldVectors(table, active === 'new' ? (keptColumn ?? null) : column),
  };
}

/** A column of old vectors; undefined where there is none of this name. */
function oldVectors(table: TableInfo, name: string | null): OldVectors | undefined {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (name === null || column === undefined) return undefined;
  const provenance = provenanceOf(name);
  // An application may well have an "embedding_model" of its own: all three, with our types, are ours.
  const hasType = (column: string, type: string): boolean =>
    table.columns.some((candidate) => candidate.name === column && candidate.typeName === type);
  const hasProvenance =
    hasType(provenance.model, 'int4') && hasType(provenance.hash, 'bytea') && hasType(provenance.at, 'timestamptz');
  return {
    column: name,
    vectorType: column.typeName === 'halfvec' ? 'halfvec' : 'vector',
    dimensions: column.dimensions ?? 0,
    provenance: hasProvenance ? provenance : undefined,
  };
}

/** The column of the old vectors: `column` before the swap, the kept one after it; undefined when it was dropped. */
export function oldVectorTarget(
  record: MigrationRecord,
  table: TableInfo,
  extension: VectorExtension,
  stateSchema: string,
): VectorTarget | undefined {
  const old = oldVectors(table, record.active === 'new' ? record.keptColumn : record.column);
  if (old === undefined) return undefined;
  return { ...newVectorTarget(record, table, extension, stateSchema), ...old, onlyMissing: true, adapted: undefined };
}
