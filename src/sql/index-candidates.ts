import type { Quantization } from './quantization.ts';
import { pgvectorLists, referenceLists, type VectorIndexKind } from './vector-index.ts';

/** An index that might be built. */
export interface IndexCandidate {
  /** The rule that IVFFlat's lists come from, or the graph's parameters. */
  readonly name: string;
  readonly kind: VectorIndexKind;
  readonly quantization: Quantization;
  /** Storage parameters for so many rows: lists grow with them, m and ef_construction do not. */
  readonly options: (rows: number) => Readonly<Record<string, string>>;
}

/** What guides say: 300–400 lists at 100,000 rows, 500–1,000 at a million, 1,000–2,000 at ten. The middles of these. */
const GUIDE: readonly (readonly [rows: number, lists: number])[] = [
  [100_000, 350],
  [1_000_000, 750],
  [10_000_000, 1_500],
];

/** The guides' sizes, between them along a power of the rows, and beyond them by the square root. */
export function guideLists(rows: number): number {
  const [first, ...rest] = GUIDE;
  let below = first ?? [1, 1];
  if (rows <= below[0]) return Math.max(1, Math.round(below[1] * Math.sqrt(rows / below[0])));
  for (const above of rest) {
    if (rows <= above[0]) {
      const share = Math.log(rows / below[0]) / Math.log(above[0] / below[0]);
      return Math.round(below[1] * (above[1] / below[1]) ** share);
    }
    below = above;
  }
  return Math.round(below[1] * Math.sqrt(rows / below[0]));
}

/** k-means needs about this many rows a list. */
const ROWS_PER_LIST = 50;

function ivfflat(name: string, rule: (rows: number) => number): IndexCandidate {
  const lists = (rows: number): number => Math.max(1, Math.min(rule(rows), Math.floor(rows / ROWS_PER_LIST)));
  return { name, kind: 'ivfflat', quantization: 'none', options: (rows) => ({ lists: String(lists(rows)) }) };
}

function hnsw(m: number, construction: number, quantization: Quantization): IndexCandidate {
  const options = { m: String(m), ef_construction: String(construction) };
  const name = `m ${m}, ef_construction ${construction}${quantization === 'none' ? '' : `, ${quantization}`}`;
  return { name, kind: 'hnsw', quantization, options: () => options };
}

/** What `reembed tune --build` tries: every rule for lists, and graphs of more and less effort and size. */
export function indexCandidates(vectorType: 'vector' | 'halfvec'): readonly IndexCandidate[] {
  return [
    ivfflat('reference rule', referenceLists),
    ivfflat("pgvector's rule", pgvectorLists),
    ivfflat("guides' sizes", guideLists),
    hnsw(16, 64, 'none'),
    hnsw(24, 128, 'none'),
    ...(vectorType === 'halfvec' ? [] : [hnsw(16, 64, 'halfvec')]),
    hnsw(16, 64, 'binary'),
  ];
}
