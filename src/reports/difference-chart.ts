import type { PairedDifference } from '../evaluate/paired-difference.ts';
import type { EvaluationResult } from '../evaluate/types.ts';
import { escapeHtml } from './document.ts';
import { signed } from './evaluation-tables.ts';

interface Interval extends Pick<PairedDifference, 'mean' | 'low' | 'high'> {
  readonly label: string;
}

const WIDTH = 860;
const LABELS = 230;
const NUMBERS = 90;
const ROW = 26;
const TOP = 34;
const MAX_SLICES = 20;
const MAX_LABEL = 32;

/** Differences in Recall@10 with their intervals against the limit that decides, as SVG; nothing without labelled queries. */
export function differenceChart({ comparisons, criterion }: EvaluationResult): string {
  const intervals = comparisons.flatMap(({ from, to, recallAt10 }) =>
    recallAt10 === undefined ? [] : [{ label: `${from} → ${to}`, ...recallAt10 }],
  );
  const slices = (comparisons.at(-1)?.slices ?? []).slice(0, MAX_SLICES);
  const all = [...intervals, ...slices.map(({ slice, recallAt10 }) => ({ label: slice, ...recallAt10 }))];
  if (all.length === 0) return '';
  const edge = 1.15 * Math.max(0.02, Math.abs(criterion.limit), ...all.flatMap(({ low, high }) => [-low, high]));
  const x = (value: number): number => LABELS + ((value + edge) / (2 * edge)) * (WIDTH - LABELS - NUMBERS);
  const height = TOP + all.length * ROW + 10;
  const limit = criterion.kind === 'better' ? 'gain asked for' : 'tolerated';
  const rule = (value: number, colour: string, dash: string, name: string): string =>
    `<line x1="${x(value)}" x2="${x(value)}" y1="${TOP - 8}" y2="${height - 8}" stroke="${colour}"${dash}/>` +
    `<text class="soft" x="${x(value)}" y="${TOP - 14}" text-anchor="${value < 0 ? 'end' : 'start'}">${name}</text>`;
  return [
    `<svg viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Differences in Recall@10 with 95% intervals">`,
    rule(criterion.limit, 'var(--no-go)', ' stroke-dasharray="4 3"', `${limit} ${signed(criterion.limit)}`),
    ...(criterion.limit === 0 ? [] : [rule(0, 'var(--soft)', '', 'no change')]),
    ...all.map((interval, i) => bar(interval, TOP + i * ROW + ROW / 2, x)),
    '</svg>',
  ].join('');
}

function bar({ label, mean, low, high }: Interval, y: number, x: (value: number) => number): string {
  const shown = label.length > MAX_LABEL ? `${label.slice(0, MAX_LABEL - 1)}…` : label;
  return (
    `<text x="0" y="${y + 4}">${escapeHtml(shown)}</text>` +
    `<line x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}" stroke="currentColor" stroke-width="3"/>` +
    `<circle cx="${x(mean)}" cy="${y}" r="5" fill="currentColor"/>` +
    `<text x="${WIDTH}" y="${y + 4}" text-anchor="end">${signed(mean)}</text>`
  );
}
