import type { TableInfo } from '../db/catalog-types.ts';
import { ConfigError, PreflightError } from '../errors.ts';
import { readSearchSide } from '../search/search-side.ts';
import { buildMemoryBytes } from '../sql/build-resources.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { type IndexDefinition, isSameIndex, parseIndexDefinition } from '../sql/index-definition.ts';
import { chooseForPartitions, listsOfPartition } from '../sql/partitioned-index.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { chooseVectorIndex, type VectorIndexChoice, type VectorIndexSettings } from '../sql/vector-index.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { assertLease, type Lease } from '../state/lease.ts';
import {
  clearPendingRebuild,
  type PendingRebuild,
  readPendingRebuild,
  savePendingRebuild,
} from '../state/pending-rebuild.ts';
import { type NewIndex, updateRecord } from '../state/records.ts';
import { findRecord, resolveMigration } from '../state/resolve.ts';
import { forgetTuned } from '../state/search-settings.ts';
import { readIndexExtras } from '../swap/index-extras.ts';
import { countByPartition } from '../swap/partition-rows.ts';
import { dropRetired, rebuildIndex } from '../swap/rebuild-index.ts';
import { refuseUnfilled } from '../swap/refuse-unfilled.ts';
import { withLease } from './with-lease.ts';

/** What the index is built with; what is not given is as it was, and IVFFlat's lists by the configured rule for the rows of today. */
export interface RebuildOptions {
  /** IVFFlat: a number or a rule. */
  readonly lists?: number | 'reference' | 'pgvector' | undefined;
  /** HNSW. */
  readonly m?: number | undefined;
  readonly efConstruction?: number | undefined;
  /** Drops the old index before the new one is built, for a disk that has no room for both: searches read the whole table meanwhile. */
  readonly dropFirst?: boolean | undefined;
}

export interface RebuildResult {
  readonly index: string;
  readonly kind: 'ivfflat' | 'hnsw';
  /** Storage parameters that it has now. */
  readonly options: Readonly<Record<string, string>>;
  readonly seconds: number;
  /** An interrupted run had built it: only its end was left. */
  readonly finishedEarlier: boolean;
}

const MEMORY_LIMIT_BYTES = 2 * 2 ** 30;

/**
 * Builds the index that the application's searches use anew under its name, with other parameters or for the rows that came since. An
 * interrupted run leaves a valid index under the name (but with `dropFirst`), and the next one finishes it, also without being told how.
 *
 * @throws PreflightError `no_index`, `column_unfilled`, `too_few_rows`, `not_expanded`; ConfigError `other_index_kind`, `index_option`; BusyError; InterruptedError
 */
export async function rebuildTunedIndex(ctx: MigrationContext, options: RebuildOptions = {}): Promise<RebuildResult> {
  return withLease(ctx, 'tune', async ({ ctx: leased, lease }) => {
    const { stateSchema } = leased.runtime;
    const started = performance.now();
    const { record, table } = await resolveMigration(leased);
    const pending = await readPendingRebuild(leased.db, stateSchema, record.id);
    const asked = options.lists !== undefined || options.m !== undefined || options.efConstruction !== undefined;
    const exchanged = pending?.exchanged === true ? pending : undefined;
    if (exchanged !== undefined) {
      await dropRetired(leased, table, exchanged.index);
      await clearPendingRebuild(leased.db, stateSchema, record.id);
      if (!asked) return resultOf(exchanged, started, true);
    }
    const wanted = await planRebuild(leased, table, options, exchanged === undefined ? pending : undefined, asked);
    const done = exchanged !== undefined && isSameIndex(exchanged.definition, wanted.rebuild.definition);
    if (!done) await carryOut(leased, lease, table, wanted);
    return resultOf(done ? exchanged : wanted.rebuild, started, done);
  });
}

function resultOf({ index, definition }: PendingRebuild, started: number, finishedEarlier: boolean): RebuildResult {
  const seconds = (performance.now() - started) / 1000;
  return { index, kind: kindOf(definition), options: definition.options, seconds, finishedEarlier };
}

interface PlannedRebuild {
  readonly rebuild: PendingRebuild;
  readonly target: VectorTarget;
  readonly choice: VectorIndexChoice;
  readonly settings: VectorIndexSettings;
  readonly rows: number | ReadonlyMap<number, number>;
}

async function planRebuild(
  ctx: MigrationContext,
  table: TableInfo,
  options: RebuildOptions,
  left: PendingRebuild | undefined,
  asked: boolean,
): Promise<PlannedRebuild> {
  const { target, index } = await readSearchSide(ctx, 'active');
  const name = left?.index ?? index?.name;
  const present = table.indexes.find((candidate) => candidate.name === name && candidate.valid);
  const extras = present === undefined ? undefined : await readIndexExtras(ctx.db, present.oid);
  const base =
    present === undefined
      ? left?.definition
      : { ...parseIndexDefinition(present.definition), tablespace: extras?.tablespace };
  if (name === undefined || base === undefined) throw noIndex(target);
  refuseOtherKind(base, options, name);
  refuseOutOfRange(options);
  const dropFirst = options.dropFirst ?? left?.dropFirst ?? false;
  if (dropFirst && table.kind === 'p') {
    throw new ConfigError(
      'drop_first_partitioned',
      `${table.schema}.${table.name} is partitioned: --drop-first is for ordinary tables.`,
      {
        step: 'tune',
        hint: 'Leave --drop-first away: partitions are built one at a time.',
      },
    );
  }
  const rows = await countRows(ctx, table, target);
  const { index: pinned } = ctx.definition;
  const settings: VectorIndexSettings = {
    kind: kindOf(base),
    lists: options.lists ?? (left === undefined || asked ? pinned.lists : Number(left.definition.options.lists ?? 100)),
    m: options.m,
    efConstruction: options.efConstruction,
  };
  const choice = chooseFor(settings, rows, target, base);
  if (choice.notice !== undefined) ctx.onProgress({ kind: 'notice', message: choice.notice });
  const comment = extras === undefined ? (left?.comment ?? null) : extras.comment;
  const definition = left !== undefined && !asked ? left.definition : { ...base, options: choice.options };
  return { rebuild: { index: name, definition, comment, dropFirst, exchanged: false }, target, choice, settings, rows };
}

function chooseFor(
  settings: VectorIndexSettings,
  rows: number | ReadonlyMap<number, number>,
  target: VectorTarget,
  base: IndexDefinition,
): VectorIndexChoice {
  const total = typeof rows === 'number' ? rows : [...rows.values()].reduce((sum, count) => sum + count, 0);
  if (settings.kind === 'hnsw') {
    const options: Record<string, string> = { ...base.options };
    if (settings.m !== undefined) options.m = String(settings.m);
    if (settings.efConstruction !== undefined) options.ef_construction = String(settings.efConstruction);
    // pgvector asks for at least twice m.
    const least = 2 * Number(options.m ?? 16);
    if (Number(options.ef_construction ?? 64) < least) options.ef_construction = String(least);
    return { ...chooseVectorIndex(settings, total, target.dimensions, MEMORY_LIMIT_BYTES), options };
  }
  const choice =
    typeof rows === 'number'
      ? chooseVectorIndex(settings, rows, target.dimensions, MEMORY_LIMIT_BYTES)
      : chooseForPartitions(settings, [...rows.values()], target.dimensions, MEMORY_LIMIT_BYTES);
  if (choice.kind === 'ivfflat') return choice;
  throw new PreflightError(
    'too_few_rows',
    `${target.schema}.${target.table} has ${total} rows with a vector, an IVFFlat index needs at least 500 to learn its lists from.`,
    { step: 'tune', hint: 'Leave the index as it is until there are more.' },
  );
}

/** The build, the exchange with what the state says of the index, and the drop. */
async function carryOut(ctx: MigrationContext, lease: Lease, table: TableInfo, planned: PlannedRebuild): Promise<void> {
  const { rebuild, target, choice, settings, rows } = planned;
  const { stateSchema } = ctx.runtime;
  const { id } = ctx.definition;
  const { index, definition } = rebuild;
  if (definition.method === 'ivfflat') await refuseUnfilled(ctx, target, 'tune');
  await savePendingRebuild(ctx.db, stateSchema, id, rebuild);
  ctx.onProgress({ kind: 'step', step: 'tune', message: `Building the index ${index} anew` });
  const most = typeof rows === 'number' ? rows : Math.max(0, ...rows.values());
  await rebuildIndex(ctx, {
    table,
    name: index,
    definition,
    comment: rebuild.comment ?? null,
    memoryBytes: buildMemoryBytes(definition, target, most),
    partition: (oid) => {
      const count = typeof rows === 'number' ? rows : (rows.get(oid) ?? 0);
      if (definition.method !== 'ivfflat')
        return { definition, memoryBytes: buildMemoryBytes(definition, target, count) };
      const { options } = listsOfPartition(settings, count, target.dimensions, MEMORY_LIMIT_BYTES);
      const own = { ...definition, options };
      return { definition: own, memoryBytes: buildMemoryBytes(own, target, count) };
    },
    dropFirst: rebuild.dropFirst,
    exchanged: async (tx) => {
      await assertLease(tx, stateSchema, id, lease.token);
      const newIndexes = (await findRecord(ctx, tx))?.newIndexes ?? [];
      const made = newIndexes.map((known) => (known.name === index ? asMade(known, choice, definition) : known));
      await updateRecord(tx, stateSchema, id, { newIndexes: made });
      await forgetTuned(tx, stateSchema, id, index);
      await recordEvent(tx, stateSchema, id, 'index_rebuilt', { index, options: definition.options });
      await savePendingRebuild(tx, stateSchema, id, { ...rebuild, exchanged: true });
    },
  });
  await clearPendingRebuild(ctx.db, stateSchema, id);
}

function asMade(known: NewIndex, choice: VectorIndexChoice, definition: IndexDefinition): NewIndex {
  const { lists, probes, efSearch } = choice;
  return {
    name: known.name,
    kind: kindOf(definition),
    ...(lists === undefined ? {} : { lists }),
    ...(probes === undefined ? {} : { probes }),
    ...(efSearch === undefined ? {} : { efSearch }),
  };
}

async function countRows(
  ctx: MigrationContext,
  table: TableInfo,
  target: VectorTarget,
): Promise<number | ReadonlyMap<number, number>> {
  if (table.kind === 'p') return countByPartition(ctx, { table, target }, undefined);
  const { rows } = await ctx.db.query<{ count: number }>(
    `SELECT pg_catalog.count(*)::float8 AS count FROM ${tableSql(target)} WHERE ${quoteIdentifier(target.column)} IS NOT NULL`,
  );
  return rows[0]?.count ?? 0;
}

function kindOf({ method }: IndexDefinition): 'ivfflat' | 'hnsw' {
  return method === 'hnsw' ? 'hnsw' : 'ivfflat';
}

function refuseOtherKind(base: IndexDefinition, options: RebuildOptions, name: string): void {
  const isHnsw = base.method === 'hnsw';
  const wrong = isHnsw ? options.lists !== undefined : options.m !== undefined || options.efConstruction !== undefined;
  if (!wrong) return;
  throw new ConfigError(
    'other_index_kind',
    isHnsw
      ? `The index ${name} is HNSW, which has no lists.`
      : `The index ${name} is IVFFlat, which has neither m nor ef_construction.`,
    { step: 'tune', hint: isHnsw ? 'Use --m and --ef-construction.' : 'Use --lists.' },
  );
}

/** pgvector's limits, asked before anything is dropped. */
const RANGES = { lists: [1, 32_768], m: [2, 100], efConstruction: [4, 1_000] } as const;

function refuseOutOfRange(options: RebuildOptions): void {
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = options[name as keyof typeof RANGES];
    if (typeof value !== 'number' || (Number.isInteger(value) && value >= least && value <= most)) continue;
    const message = `${name} is ${value}, pgvector takes a whole number from ${least} to ${most}.`;
    throw new ConfigError('index_option', message, { step: 'tune', hint: 'Give another; nothing was changed.' });
  }
}

function noIndex({ schema, table, column }: VectorTarget): PreflightError {
  return new PreflightError('no_index', `${schema}.${table}.${column} has no valid index to build anew.`, {
    step: 'tune',
    hint: 'Create one with CREATE INDEX CONCURRENTLY; "reembed tune --build" shows which would do.',
  });
}
