import { readTable } from '../../db/catalog.ts';
import { type KnownItemQuery, knownItemRecall, type RecallResult } from '../../search/recall.ts';
import { type SideProviders, searchTable } from '../../search/search.ts';
import type { SearchIndex } from '../../search/search-side.ts';
import type { MigrationContext } from '../../state/context.ts';
import { readModel } from '../../state/models.ts';
import type { MigrationRecord } from '../../state/records.ts';
import { findRecord } from '../../state/resolve.ts';
import type { Passage } from './demo-files.ts';
import { readSizes, type Sizes } from './demo-table.ts';

/** The passages of one search, and where the one that was looked for came. */
export interface DemoSearch {
  readonly query: string;
  readonly hits: readonly {
    readonly title: string;
    readonly text: string;
    readonly score: number;
    readonly wanted: boolean;
  }[];
  /** Rank of the first passage with the query as its title; undefined when it is not among the first ten. */
  readonly rank: number | undefined;
}

/** The table at one moment, measured. */
export interface Snapshot extends Sizes {
  readonly side: 'old' | 'new';
  readonly model: string;
  readonly dimensions: number;
  readonly index: SearchIndex | undefined;
  readonly searches: readonly DemoSearch[];
  readonly exact: RecallResult;
  readonly throughIndex: RecallResult;
  /** The old vectors beside the new ones, after the swap. */
  readonly kept: { readonly column: string; readonly bytes: number } | undefined;
}

const HITS = 10;
/** Titles that Recall@10 is measured with: comparing all with every vector would take most of the demo's time. */
const RECALL_QUERIES = 300;

/** Three searches as the application would make them, by the vectors that it uses now. */
export async function searchThrice(
  ctx: MigrationContext,
  queries: readonly string[],
  passages: readonly Passage[],
  providers: SideProviders,
): Promise<DemoSearch[]> {
  const titles = new Map(passages.map((passage, i) => [String(i + 1), passage.title]));
  const searches: DemoSearch[] = [];
  for (const query of queries) {
    const { hits } = await searchTable(ctx, { query, limit: HITS, providers });
    const found = hits.map(({ key, text, score }) => {
      const title = titles.get(key[0] ?? '') ?? '';
      return { title, text: text ?? '', score, wanted: title === query };
    });
    const first = found.findIndex((hit) => hit.wanted);
    searches.push({ query, hits: found, rank: first === -1 ? undefined : first + 1 });
  }
  return searches;
}

/** Searches, Recall@10 over all titles, exactly and through the index, and sizes: everything read from the database now. */
export async function takeSnapshot(
  ctx: MigrationContext,
  queries: readonly string[],
  passages: readonly Passage[],
  providers: SideProviders,
): Promise<Snapshot> {
  const searches = await searchThrice(ctx, queries, passages, providers);
  const known = knownItems(passages);
  const exact = await knownItemRecall(ctx, { queries: known, k: HITS, side: 'active', exact: true, providers });
  const throughIndex = await knownItemRecall(ctx, { queries: known, k: HITS, side: 'active', exact: false, providers });
  const { definition } = ctx;
  const record = await findRecord(ctx);
  const sizes = await readSizes(ctx.db, definition.column, throughIndex.index?.name);
  const side = exact.side;
  return {
    side,
    model: side === 'new' ? await newModelName(ctx, record) : 'older encoder',
    dimensions: await readDimensions(ctx),
    index: throughIndex.index,
    searches,
    exact,
    throughIndex,
    kept: await readKept(ctx, record?.keptColumn ?? undefined),
    ...sizes,
  };
}

/** Titles at even distances as queries; all passages under a title answer it. */
function knownItems(passages: readonly Passage[]): KnownItemQuery[] {
  const byTitle = new Map<string, string[][]>();
  for (const [i, passage] of passages.entries()) {
    const keys = byTitle.get(passage.title) ?? [];
    keys.push([String(i + 1)]);
    byTitle.set(passage.title, keys);
  }
  const all = [...byTitle].map(([query, relevant]) => ({ query, relevant }));
  const step = Math.max(1, all.length / RECALL_QUERIES);
  return all.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
}

async function readKept(ctx: MigrationContext, column: string | undefined): Promise<Snapshot['kept']> {
  if (column === undefined) return undefined;
  const { vectorBytes } = await readSizes(ctx.db, column, undefined);
  return { column, bytes: vectorBytes };
}

/** Of the column that the application reads, as the catalog declares it now. */
async function readDimensions(ctx: MigrationContext): Promise<number> {
  const { table, column } = ctx.definition;
  const { columns } = await readTable(ctx.db, table);
  return columns.find((candidate) => candidate.name === column)?.dimensions ?? 0;
}

/** As the provenance in the database has it. */
async function newModelName(ctx: MigrationContext, record: MigrationRecord | undefined): Promise<string> {
  const id = record?.modelId ?? undefined;
  const fingerprint = id === undefined ? undefined : await readModel(ctx.db, ctx.runtime.stateSchema, id);
  const name = String(fingerprint?.name ?? ctx.definition.model).replace(/^.*\//, '');
  return [name, fingerprint?.dtype].filter(Boolean).join(', ');
}
