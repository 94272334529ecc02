import type { Distance } from '../config/types.ts';
import { readTable, readTableByOid, readVectorExtension } from '../db/catalog.ts';
import type { TableInfo } from '../db/catalog-types.ts';
import { PreflightError } from '../errors.ts';
import { type AnnIndex, annIndexesOn } from '../inspect/facts.ts';
import { parseIndexDefinition } from '../sql/index-definition.ts';
import type { Quantization } from '../sql/quantization.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { TextSource } from '../sql/text-source.ts';
import { defaultProbes, distanceOf } from '../sql/vector-index.ts';
import type { StateContext } from '../state/context.ts';
import { readModel, type StoredFingerprint } from '../state/models.ts';
import { readText } from '../state/read-text.ts';
import type { MigrationRecord } from '../state/records.ts';
import { findRecord, newVectorTarget, oldVectorTarget } from '../state/resolve.ts';
import { tunedFor } from '../state/search-settings.ts';
import { followText } from '../state/text-column.ts';

/** Where a search looks and how. */
export interface SearchSide {
  readonly side: 'old' | 'new';
  /** The active side when this was read. */
  readonly active: 'old' | 'new';
  readonly target: VectorTarget;
  /** The model that made the side's vectors, where the state knows it: not of vectors that were there before reembed. */
  readonly model: StoredFingerprint | undefined;
  readonly distance: Distance;
  /** The approximate index on the column; undefined where there is none that is valid and whole. */
  readonly index: SearchIndex | undefined;
}

export interface SearchIndex {
  readonly name: string;
  readonly kind: 'ivfflat' | 'hnsw';
  readonly lists: number | undefined;
  readonly probes: number | undefined;
  readonly efSearch: number | undefined;
  /** How it holds the vectors; as they are when undefined. */
  readonly quantization?: Quantization;
}

const DEFAULT_EF_SEARCH = 40;

/**
 * Finds the column of one side in whatever phase the migration is.
 *
 * @throws PreflightError `not_expanded` for the new side before 005, `old_column_gone` for the old one after it was dropped
 */
export async function readSearchSide(ctx: StateContext, wanted: 'old' | 'new' | 'active'): Promise<SearchSide> {
  const stored = await findRecord(ctx);
  const table =
    stored === undefined
      ? await readTable(ctx.db, ctx.definition.table)
      : await readTableByOid(ctx.db, stored.tableOid);
  const record = stored === undefined ? undefined : await followText(ctx, stored, table);
  const active = record?.active ?? 'old';
  const side = wanted === 'active' ? active : wanted;
  const target = await targetOf(ctx, side, record, table);
  const ann = annIndexesOn(table, target.column).filter((index) => index.valid && isWhole(index, table));
  const distance = ctx.definition.index.distance;
  // What holds signs only serves every distance: it finds candidates.
  const serves = ({ distance: own, quantization }: AnnIndex): boolean => own === distance || quantization === 'binary';
  const index = ann.find((candidate) => distance === undefined || serves(candidate)) ?? ann[0];
  return {
    side,
    active,
    target,
    model:
      side === 'new' && record?.modelId ? await readModel(ctx.db, ctx.runtime.stateSchema, record.modelId) : undefined,
    distance: index?.distance ?? distance ?? savedDistance(record) ?? oldDistance(ctx, table) ?? 'cosine',
    index: index === undefined ? undefined : searchIndex(index, record, side),
  };
}

async function targetOf(
  ctx: StateContext,
  side: 'old' | 'new',
  record: MigrationRecord | undefined,
  table: TableInfo,
): Promise<VectorTarget> {
  const extension = await readVectorExtension(ctx.db);
  const { stateSchema } = ctx.runtime;
  if (side === 'new') {
    if (record !== undefined) return newVectorTarget(record, table, extension, stateSchema);
    throw new PreflightError('not_expanded', `The migration "${ctx.definition.id}" has no new vectors yet.`, {
      step: 'inspect',
      hint: 'Run "npx knex migrate:up" (or "reembed up") first.',
    });
  }
  if (record === undefined) return untouchedTarget(ctx, table, extension.schema, await readText(ctx, table));
  const old = oldVectorTarget(record, table, extension, stateSchema);
  if (old !== undefined) return old;
  throw new PreflightError('old_column_gone', `The old vectors of "${table.schema}.${table.name}" were dropped.`, {
    step: 'inspect',
    hint: 'Search the new ones, or get the old ones back with "reembed restore".',
  });
}

function untouchedTarget(ctx: StateContext, table: TableInfo, vectorSchema: string, text: TextSource): VectorTarget {
  const { definition, runtime } = ctx;
  const column = table.columns.find((candidate) => candidate.name === definition.column);
  return {
    schema: table.schema,
    table: table.name,
    key: table.key,
    text,
    column: definition.column,
    provenance: undefined,
    vectorType: column?.typeName === 'halfvec' ? 'halfvec' : 'vector',
    dimensions: column?.dimensions ?? 0,
    vectorSchema,
    stateSchema: runtime.stateSchema,
  };
}

/** An index over an expression that is not one of ours, a part of the rows, or by a distance that is not offered (l1), does not answer a search of the column. */
function isWhole(index: AnnIndex, table: TableInfo): boolean {
  const info = table.indexes.find((candidate) => candidate.name === index.name);
  const isKnown = index.distance !== undefined || index.quantization === 'binary';
  return info?.predicate === null && index.quantization !== undefined && isKnown;
}

/** Searched as `reembed tune` found it best, else as the swap stored it, else by the rules of thumb. */
function searchIndex(index: AnnIndex, record: MigrationRecord | undefined, side: 'old' | 'new'): SearchIndex {
  const { name, method: kind } = index;
  const { options } = parseIndexDefinition(index.definition);
  const stored = record?.newIndexes.find((candidate) => candidate.name === name);
  const tuned = tunedFor(record?.searchSettings ?? null, { name, kind, side, options })?.setting;
  const lists = index.lists ?? stored?.lists;
  return {
    name,
    kind,
    lists: kind === 'ivfflat' ? lists : undefined,
    probes: kind === 'ivfflat' ? (tuned ?? stored?.probes ?? defaultProbes(lists ?? 100)) : undefined,
    efSearch: kind === 'hnsw' ? (tuned ?? stored?.efSearch ?? DEFAULT_EF_SEARCH) : undefined,
    quantization: index.quantization ?? 'none',
  };
}

/** Before 007 the new column has no index: it will get the distance of the old one. */
function oldDistance(ctx: StateContext, table: TableInfo): Distance | undefined {
  return annIndexesOn(table, ctx.definition.column)[0]?.distance;
}

function savedDistance(record: MigrationRecord | undefined): Distance | undefined {
  const saved = record?.oldIndexes[0];
  if (saved === undefined) return undefined;
  const distance = distanceOf(parseIndexDefinition(saved.definition));
  return distance === 'l1' ? undefined : distance;
}
