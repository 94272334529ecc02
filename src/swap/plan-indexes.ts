import type { IndexInfo, TableInfo } from '../db/catalog-types.ts';
import { PreflightError } from '../errors.ts';
import { buildMemoryBytes } from '../sql/build-resources.ts';
import { fitIdentifier, quoteIdentifier } from '../sql/identifiers.ts';
import { type IndexDefinition, parseIndexDefinition, retargetExpression } from '../sql/index-definition.ts';
import { chooseForPartitions, listsOfPartition } from '../sql/partitioned-index.ts';
import { maxDimensions, type Quantization } from '../sql/quantization.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import {
  chooseVectorIndex,
  DEFAULT_KIND,
  distanceOf,
  type IndexDistance,
  ivfflatMemoryBytes,
  keepOldOptions,
  kindInPlaceOf,
  kindOf,
  retargetIndex,
  retargetVectorIndex,
  type VectorIndexChoice,
  type VectorIndexKind,
  vectorIndexDefinition,
} from '../sql/vector-index.ts';
import type { MigrationContext } from '../state/context.ts';
import type { NewIndex } from '../state/records.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { countByPartition, looseVectorIndexes } from './partition-rows.ts';

/** More than this is not asked of a server for building an index; the lists are lowered instead. */
const MEMORY_LIMIT_BYTES = 2 * 2 ** 30;
/** Above so many rows the planner's estimate is good enough for a list count. */
const COUNT_EXACTLY_BELOW = 1_000_000;

/** An index to build on the new column; `name` is the one it gets with the exchange. */
export interface PlannedIndex {
  readonly name: string;
  readonly definition: IndexDefinition;
  readonly memoryBytes: number | undefined;
  /** Undefined for an index that is not for nearest neighbours. */
  readonly record: NewIndex | undefined;
  readonly notice: string | undefined;
  /** That of a partition, by its OID; undefined on an ordinary table. */
  readonly partition?: (oid: number) => Pick<PlannedIndex, 'definition' | 'memoryBytes'>;
}

interface SourceIndex {
  readonly name: string;
  readonly definition: string;
}

/** Indexes that read the old column and go over to the new one; those behind constraints and broken ones are left alone. */
export function oldIndexesOf({ record, table }: ResolvedMigration): readonly IndexInfo[] {
  return table.indexes.filter(
    (index) => index.valid && !index.backsConstraint && index.columns.includes(record.column),
  );
}

export function isVectorIndex(index: { readonly method: string }): boolean {
  return index.method === 'ivfflat' || index.method === 'hnsw';
}

/** Decides which indexes the new column needs: each of the old column's made over, or one where there was none. */
export async function planIndexes(ctx: MigrationContext, resolved: ResolvedMigration): Promise<PlannedIndex[]> {
  const { record, table, target } = resolved;
  const live = oldIndexesOf(resolved);
  const dropped = record.oldIndexes.filter(
    (saved) => saved.dropped && !live.some((index) => index.name === saved.name),
  );
  const from = { column: record.column, dimensions: dimensionsOf(resolved) };
  const others = live
    .filter((index) => !isVectorIndex(index))
    .map((index) => plain(table, index.name, retargetIndex(index.definition, from, target)));
  const { index } = ctx.definition;
  const { kind: asked } = index;
  if (asked === 'none') return others;
  refuseTooManyDimensions(resolved, index.quantization);
  const whole = [...live.filter(isVectorIndex), ...dropped].sort((a, b) => (a.name < b.name ? -1 : 1));
  const sources = whole.length > 0 ? whole : await wholeOfLoose(ctx, resolved);
  if (sources.length === 0) {
    const kind = asked ?? DEFAULT_KIND;
    const name = freeName(resolved, fitIdentifier(`${table.name}_${record.column}`, `_${kind}_idx`));
    const rows = await countRows(ctx, resolved, undefined);
    const choice = choose(ctx, kind, rows, target.dimensions);
    const definition = vectorIndexDefinition(target, choice, index.distance ?? 'cosine', index.quantization);
    return [
      ...others,
      withPartitions(
        ctx,
        annIndex(name, definition, choice, memoryOf(definition, target, rows)),
        rows,
        target.dimensions,
      ),
    ];
  }
  return [...others, ...(await retargetAll(ctx, resolved, sources, asked))];
}

async function retargetAll(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  sources: readonly SourceIndex[],
  asked: VectorIndexKind | undefined,
): Promise<PlannedIndex[]> {
  const { record, target } = resolved;
  const from = { column: record.column, dimensions: dimensionsOf(resolved) };
  const { quantization } = ctx.definition.index;
  const pinned = distanceFor(sources, ctx.definition.index.distance);
  const planned: PlannedIndex[] = [];
  const seen = new Set<string>();
  for (const [i, source] of sources.entries()) {
    const old = parseIndexDefinition(source.definition);
    const predicate = old.predicate === undefined ? undefined : retargetExpression(old.predicate, from, target);
    const rows = await countRows(ctx, resolved, predicate);
    const make = (choice: VectorIndexChoice): IndexDefinition =>
      retargetVectorIndex(source.definition, { from, target, choice, distance: pinned[i], quantization });
    const kind = kindInPlaceOf(old, from.column, asked);
    let choice = keepOldOptions(choose(ctx, kind, rows, target.dimensions), old);
    // Two indexes that differ only in their kind would become the same one twice.
    if (seen.has(JSON.stringify(make(choice)))) {
      choice = keepOldOptions(choose(ctx, kindOf(old), rows, target.dimensions), old);
    }
    const definition = make(choice);
    seen.add(JSON.stringify(definition));
    planned.push(
      withPartitions(
        ctx,
        annIndex(source.name, definition, choice, memoryOf(definition, target, rows)),
        rows,
        target.dimensions,
      ),
    );
  }
  return planned;
}

/** A pinned distance is that of the only index; among several, the first takes it when none has it. */
function distanceFor(
  sources: readonly SourceIndex[],
  pinned: IndexDistance | undefined,
): (IndexDistance | undefined)[] {
  const have = sources.map((source) => distanceOf(parseIndexDefinition(source.definition)));
  if (pinned === undefined || have.includes(pinned)) return sources.map(() => undefined);
  return sources.map((_, i) => (i === 0 ? pinned : undefined));
}

/** Where partitions alone have indexes, one over all of them for each of their distances. */
async function wholeOfLoose(ctx: MigrationContext, resolved: ResolvedMigration): Promise<SourceIndex[]> {
  const { table, record } = resolved;
  const byDistance = new Map<string, SourceIndex>();
  for (const index of await looseVectorIndexes(ctx, resolved)) {
    const distance = index.operatorClasses.join();
    if (byDistance.has(distance)) continue;
    const number = byDistance.size === 0 ? '' : String(byDistance.size);
    const name = freeName(resolved, fitIdentifier(`${table.name}_${record.column}`, `_${index.method}_idx${number}`));
    byDistance.set(distance, { name, definition: index.definition });
  }
  return [...byDistance.values()];
}

/** For the largest partition where there are any: one is built at a time. */
function memoryOf(definition: IndexDefinition, target: VectorTarget, rows: RowCount): number | undefined {
  return buildMemoryBytes(definition, target, typeof rows === 'number' ? rows : Math.max(0, ...rows.values()));
}

/** By partition where there are any. */
type RowCount = number | ReadonlyMap<number, number>;

function choose(ctx: MigrationContext, kind: VectorIndexKind, rows: RowCount, dimensions: number): VectorIndexChoice {
  const settings = { ...ctx.definition.index, kind };
  if (typeof rows === 'number') return chooseVectorIndex(settings, rows, dimensions, MEMORY_LIMIT_BYTES);
  return chooseForPartitions(settings, [...rows.values()], dimensions, MEMORY_LIMIT_BYTES);
}

/** IVFFlat's lists are those of each partition's own rows. */
function withPartitions(ctx: MigrationContext, whole: PlannedIndex, rows: RowCount, dimensions: number): PlannedIndex {
  if (typeof rows === 'number') return whole;
  const { definition, memoryBytes } = whole;
  if (definition.method !== 'ivfflat') return { ...whole, partition: () => ({ definition, memoryBytes }) };
  const settings = { ...ctx.definition.index, kind: 'ivfflat' as const };
  return {
    ...whole,
    partition: (oid) => {
      const { options, lists = 1 } = listsOfPartition(settings, rows.get(oid) ?? 0, dimensions, MEMORY_LIMIT_BYTES);
      return { definition: { ...definition, options }, memoryBytes: ivfflatMemoryBytes(lists, dimensions) };
    },
  };
}

function plain({ kind }: TableInfo, name: string, definition: IndexDefinition): PlannedIndex {
  const planned = { name, definition, memoryBytes: undefined, record: undefined, notice: undefined };
  return kind === 'p' ? { ...planned, partition: () => planned } : planned;
}

function annIndex(
  name: string,
  definition: IndexDefinition,
  choice: VectorIndexChoice,
  memoryBytes: number | undefined,
): PlannedIndex {
  const { kind, lists, probes, efSearch } = choice;
  return {
    name,
    definition,
    memoryBytes,
    record: {
      name,
      kind,
      ...(lists === undefined ? {} : { lists }),
      ...(probes === undefined ? {} : { probes }),
      ...(efSearch === undefined ? {} : { efSearch }),
    },
    notice: choice.notice === undefined ? undefined : `${name}: ${choice.notice}`,
  };
}

function dimensionsOf({ record, table }: ResolvedMigration): number {
  return table.columns.find((column) => column.name === record.column)?.dimensions ?? 0;
}

async function countRows(
  ctx: MigrationContext,
  { table, target }: ResolvedMigration,
  predicate: string | undefined,
): Promise<RowCount> {
  if (table.kind === 'p') return countByPartition(ctx, { table, target }, predicate);
  if (predicate === undefined && table.estimatedRows > COUNT_EXACTLY_BELOW) return Math.round(table.estimatedRows);
  const where = `${quoteIdentifier(target.column)} IS NOT NULL${predicate === undefined ? '' : ` AND (${predicate})`}`;
  const { rows } = await ctx.db.query<{ count: number }>(
    `SELECT pg_catalog.count(*)::float8 AS count FROM ${tableSql(target)} WHERE ${where}`,
  );
  return rows[0]?.count ?? 0;
}

/** Postgres itself numbers a name that is taken; an index that stays under its name must know it beforehand. */
function freeName({ table }: ResolvedMigration, name: string): string {
  const taken = new Set(table.indexes.map((index) => index.name));
  if (!taken.has(name)) return name;
  let number = 1;
  while (taken.has(fitIdentifier(name, String(number)))) number++;
  return fitIdentifier(name, String(number));
}

function refuseTooManyDimensions({ target, table }: ResolvedMigration, quantization: Quantization): void {
  const limit = maxDimensions(target.vectorType, quantization);
  if (target.dimensions <= limit) return;
  throw new PreflightError(
    'not_indexable',
    `${table.name}.${target.column} is ${target.vectorType}(${target.dimensions}); an index takes ${limit} dimensions of this type at most.`,
    {
      step: 'cut-over',
      hint: 'Set vectorType: "halfvec" or index: { quantization: "halfvec" } (up to 4000 dimensions), { quantization: "binary" }, or { kind: "none" }.',
      context: { dimensions: target.dimensions, limit },
    },
  );
}
