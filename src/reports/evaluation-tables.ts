import type { RankMetrics } from '../evaluate/metrics.ts';
import type { PairedDifference } from '../evaluate/paired-difference.ts';
import type { EvaluationResult, SearchMeasures, SideComparison, SideResult } from '../evaluate/types.ts';
import type { Block } from './document.ts';

/** `+0.062`, `−0.010`. */
export function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
}

/** What each side finds, exactly and through its index. */
export function sideBlocks({ sides, k, queries }: EvaluationResult): Block[] {
  const more = k === 1 || k === 5 || k === 10 ? [] : [`R@${k}`];
  const head = ['side', 'search', 'Recall@1', 'R@5', 'R@10', ...more, 'MRR', 'nDCG@10', 'p50 ms', 'p95 ms'];
  const rows = sides.flatMap((side) => {
    const exact = [side.name, 'exact', ...measureCells(side.exact, more.length > 0)];
    if (side.throughIndex === undefined) return [exact];
    return [exact, ['', side.throughIndex.index.name, ...measureCells(side.throughIndex, more.length > 0)]];
  });
  const named = sides.map(sideLine);
  const note = `MRR counts the first ${Math.max(k, 10)} hits. ms: a search with its way to the database and back, without the query's embedding.`;
  const found = queries.labelled === 0 ? 'How long they take' : 'What each side finds';
  return [
    { kind: 'heading', text: found },
    { kind: 'list', items: named },
    { kind: 'table', head, rows },
    { kind: 'paragraph', text: note },
  ];
}

function sideLine({ name, column, model, reranker, throughIndex }: SideResult): string {
  const behind = reranker === undefined ? '' : `; its first ${reranker.topK} hits put in order by ${reranker.name}`;
  const through =
    throughIndex === undefined
      ? ''
      : `; ${throughIndex.index.name} finds ${(100 * throughIndex.ofExact).toFixed(1)}% of the exact first ten`;
  return `${name}: ${column}, ${model.name} (${model.provider}, ${model.dimensions} dimensions)${through}${behind}`;
}

function measureCells({ metrics, latency }: SearchMeasures, withK: boolean): string[] {
  const { recallAt1, recallAt5, recallAt10, recallAtK, reciprocalRank, ndcgAt10 }: Partial<RankMetrics> = metrics ?? {};
  const values = [recallAt1, recallAt5, recallAt10, ...(withK ? [recallAtK] : []), reciprocalRank, ndcgAt10];
  return [
    ...values.map((value) => (value === undefined ? '–' : value.toFixed(3))),
    ...[latency.p50, latency.p95].map((value) => value.toFixed(1)),
  ];
}

/** What changes for the application. */
export function comparisonBlocks({ comparisons, k }: EvaluationResult): Block[] {
  const head = ['from → to', 'measure', 'difference', '95% from', 'to', 'p', 'verdict'];
  const rows = comparisons.flatMap((each) => {
    const name = `${each.from} → ${each.to}`;
    return [
      differenceRow(name, 'Recall@10', each.recallAt10, each.verdict),
      differenceRow('', 'MRR', each.reciprocalRank),
      differenceRow('', 'nDCG@10', each.ndcgAt10),
    ].filter((row) => row !== undefined);
  });
  const agreement = comparisons.map((each) => agreementLine(each, k));
  const differences: Block[] = rows.length === 0 ? [] : [{ kind: 'table', head, rows }];
  return [{ kind: 'heading', text: 'What changes' }, ...differences, { kind: 'list', items: agreement }];
}

function differenceRow(
  name: string,
  measure: string,
  difference: PairedDifference | undefined,
  verdict = '',
): string[] | undefined {
  if (difference === undefined) return undefined;
  const { mean, low, high, pValue } = difference;
  const p = pValue < 0.001 ? '< 0.001' : pValue.toFixed(3);
  return [name, measure, signed(mean), signed(low), signed(high), p, verdict.toUpperCase()];
}

function agreementLine({ from, to, overlap, rankBiasedOverlap }: SideComparison, k: number): string {
  return `${from} and ${to} share ${(100 * overlap).toFixed(1)}% of the first ${k} hits; rank-biased overlap (p = 0.9) ${rankBiasedOverlap.toFixed(3)}`;
}

/** Recall@10 by slice, the greatest loss first. */
export function sliceBlocks({ comparisons }: EvaluationResult): Block[] {
  const slices = comparisons.at(-1)?.slices ?? [];
  if (slices.length === 0) return [];
  const ordered = [...slices].sort((a, b) => a.recallAt10.mean - b.recallAt10.mean);
  return [
    { kind: 'heading', text: 'Recall@10 by slice' },
    {
      kind: 'table',
      head: ['slice', 'queries', 'from', 'to', 'difference', '95% from', 'to'],
      rows: ordered.map(({ slice, queries, from, to, recallAt10: { mean, low, high } }) => [
        slice,
        String(queries),
        from.toFixed(3),
        to.toFixed(3),
        ...[mean, low, high].map(signed),
      ]),
    },
  ];
}

const QUERY_WIDTH = 70;

/** A query may hold line breaks, which would end the table's row, and what a terminal takes for commands. */
function oneLine(text: string, width: number): string {
  const plain = text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
  return plain.length > width ? `${plain.slice(0, width - 1)}…` : plain;
}

/** Queries to look at. */
export function exampleBlocks({ examples, k }: EvaluationResult): Block[] {
  if (examples.length === 0) return [];
  const rank = (value: number | null): string => (value === null ? `> ${Math.max(k, 10)}` : String(value));
  const rows = examples.map(({ change, query, fromRank, toRank }) => [
    change,
    rank(fromRank),
    rank(toRank),
    oneLine(query, QUERY_WIDTH),
  ]);
  return [
    { kind: 'heading', text: 'Queries that moved most (rank of the first relevant row)' },
    { kind: 'table', head: ['', 'from', 'to', 'query'], rows },
  ];
}

export function checkBlocks({ checks }: EvaluationResult): Block[] {
  if (checks.length === 0) return [];
  const rows = checks.map(({ level, code, message }) => [level === 'info' ? 'ok' : level.toUpperCase(), code, message]);
  return [
    { kind: 'heading', text: 'Checks' },
    { kind: 'table', head: ['', 'check', 'what was found'], rows },
  ];
}
