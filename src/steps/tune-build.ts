import { readSearchSide, type SearchSide } from '../search/search-side.ts';
import { type CurvePoint, smallestReaching } from '../search/tuning/choose-setting.ts';
import { type CurveJob, exactAnswers, type IndexedSide, measureCurve } from '../search/tuning/measure-curve.ts';
import {
  readQueryTexts,
  samplePercentage,
  sampleQueryVectors,
  type TuningQuery,
} from '../search/tuning/tuning-queries.ts';
import { type IndexCandidate, indexCandidates } from '../sql/index-candidates.ts';
import { tableSql, type VectorTarget, vectorTypeSql } from '../sql/target.ts';
import { copyVectorsSql, sampleTableName } from '../sql/tuning-sample.ts';
import { defaultProbes } from '../sql/vector-index.ts';
import type { MigrationContext } from '../state/context.ts';
import { type BuiltCandidate, withCandidate } from '../swap/try-index.ts';
import { countVectors, embedQueries, type TuneOptions, tooFewRows } from './tune.ts';
import { withLease } from './with-lease.ts';

export interface TuneBuildOptions extends Omit<TuneOptions, 'dryRun'> {
  /** Rows that are copied (20,000). */
  readonly sample?: number | undefined;
  /** Only candidates of one kind. */
  readonly kind?: 'ivfflat' | 'hnsw' | undefined;
}

export interface TriedIndex {
  readonly candidate: string;
  readonly kind: 'ivfflat' | 'hnsw';
  readonly quantization: IndexCandidate['quantization'];
  /** Storage parameters on the sample, and what the same rule gives for the whole table. */
  readonly options: Readonly<Record<string, string>>;
  readonly wholeOptions: Readonly<Record<string, string>>;
  readonly seconds: number;
  readonly bytes: number;
  /** Of the whole table's index, in proportion to the rows. */
  readonly wholeBytes: number;
  /** The smallest setting that reaches the target; null when none does. */
  readonly chosen: CurvePoint | null;
  readonly curve: readonly CurvePoint[];
}

/** What `reembed tune --build` prints with `--json`. */
export interface TuneBuildResult {
  readonly step: 'tune';
  readonly table: string;
  readonly column: string;
  readonly rows: number;
  readonly sampleRows: number;
  readonly k: number;
  readonly target: number;
  readonly queries: { readonly source: 'file' | 'rows'; readonly count: number };
  readonly tried: readonly TriedIndex[];
}

/**
 * Builds candidates for the index one after the other on a copy of random rows, and measures each as `tune` does. The copy is an unlogged
 * table in the state's schema and is dropped whatever happens; one that a killed run left is dropped by the next.
 *
 * @throws PreflightError `not_expanded`, `old_column_gone`, `too_few_rows`; InterruptedError when the signal aborts
 */
export async function tuneBuild(ctx: MigrationContext, options: TuneBuildOptions = {}): Promise<TuneBuildResult> {
  return withLease(ctx, 'tune', async ({ ctx: leased }) => {
    const side = await readSearchSide(leased, options.side ?? 'active');
    const rows = await countVectors(leased, side.target);
    if (rows < 2 * (options.k ?? 10)) throw tooFewRows(side.target, rows, options.k ?? 10);
    const copy = copyOf(leased, side.target);
    const drop = () => leased.db.query(`DROP TABLE IF EXISTS ${tableSql(copy)}`);
    await drop();
    try {
      const sampleRows = await copyRows(leased, side.target, copy, options, rows);
      return await tryAll(leased, { ...side, target: copy, index: undefined }, options, { side, rows, sampleRows });
    } finally {
      await drop();
    }
  });
}

function copyOf({ runtime, definition }: MigrationContext, target: VectorTarget): VectorTarget {
  return {
    ...target,
    schema: runtime.stateSchema,
    table: sampleTableName(definition.id),
    key: [{ name: 'id', type: 'bigint' }],
    text: 'id',
    column: 'embedding',
    provenance: undefined,
  };
}

async function copyRows(
  ctx: MigrationContext,
  from: VectorTarget,
  copy: VectorTarget,
  { sample = 20_000, seed = 1 }: TuneBuildOptions,
  rows: number,
): Promise<number> {
  ctx.onProgress({
    kind: 'step',
    step: 'tune',
    message: `Copying up to ${sample} vectors into ${copy.schema}.${copy.table}`,
  });
  await ctx.db.query(
    `CREATE UNLOGGED TABLE ${tableSql(copy)} (id bigint PRIMARY KEY, embedding ${vectorTypeSql(copy)})`,
  );
  await ctx.db.query(`ALTER TABLE ${tableSql(copy)} ALTER COLUMN embedding SET STORAGE MAIN`);
  // Rows of a page resemble each other where they were written together: twice as many pages as would do.
  const share = Math.max(await samplePercentage(ctx.db, from), Math.min(100, (200 * sample) / Math.max(1, rows)));
  const { rowCount } = await ctx.db.query(copyVectorsSql(from, copy), [share, seed, sample]);
  await ctx.db.query(`ANALYZE ${tableSql(copy)}`);
  return rowCount;
}

async function tryAll(
  ctx: MigrationContext,
  copied: SearchSide,
  options: TuneBuildOptions,
  { side, rows, sampleRows }: { readonly side: SearchSide; readonly rows: number; readonly sampleRows: number },
): Promise<TuneBuildResult> {
  const { recall: target = 0.95, k = 10, queries: file, queryCount = 200, seed = 1 } = options;
  const queries: readonly TuningQuery[] =
    file === undefined
      ? await sampleQueryVectors(ctx.db, copied.target, queryCount, seed)
      : await embedQueries(ctx, side, await readQueryTexts(file, queryCount));
  const answers = await exactAnswers(ctx, { side: copied, queries, k, target });
  const tried: TriedIndex[] = [];
  for (const candidate of indexCandidates(side.target.vectorType)) {
    if (options.kind !== undefined && candidate.kind !== options.kind) continue;
    const about = { candidate, rows: sampleRows, distance: side.distance };
    ctx.onProgress({ kind: 'step', step: 'tune', message: `Trying ${candidate.kind}, ${candidate.name}` });
    const found = await withCandidate(ctx, copied.target, about, async (built) => {
      const job: CurveJob = { side: searchedBy(copied, candidate, built), queries, k, target };
      return { built, curve: await measureCurve(ctx, job, answers) };
    });
    tried.push(asTried(candidate, found.built, found.curve, { target, rows, sampleRows }));
  }
  const { schema, table, column } = side.target;
  const source = file === undefined ? 'rows' : 'file';
  const about = { table: `${schema}.${table}`, column, rows, sampleRows, k, target };
  return { step: 'tune', ...about, queries: { source, count: queries.length }, tried };
}

/** A side that is searched by a candidate, with what it has when nothing is measured. */
export function searchedBy(side: SearchSide, candidate: IndexCandidate, built: BuiltCandidate): IndexedSide {
  const { kind, quantization } = candidate;
  const lists = kind === 'ivfflat' ? Number(built.definition.options.lists) : undefined;
  const probes = lists === undefined ? undefined : defaultProbes(lists);
  const efSearch = kind === 'hnsw' ? 40 : undefined;
  return { ...side, index: { name: built.name, kind, lists, probes, efSearch, quantization } };
}

function asTried(
  candidate: IndexCandidate,
  { definition, seconds, bytes }: BuiltCandidate,
  curve: readonly CurvePoint[],
  about: { readonly target: number; readonly rows: number; readonly sampleRows: number },
): TriedIndex {
  const { kind, quantization, name } = candidate;
  return {
    candidate: name,
    kind,
    quantization,
    options: definition.options,
    wholeOptions: candidate.options(about.rows),
    seconds,
    bytes,
    wholeBytes: (bytes * about.rows) / Math.max(1, about.sampleRows),
    chosen: smallestReaching(curve, about.target) ?? null,
    curve,
  };
}
