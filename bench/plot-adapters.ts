// Draws docs/adapters.svg out of bench/results/adapter-kinds.json: what a search finds in adapted vectors, by the pairs that were learned from.
//   node --import=tsx bench/plot-adapters.ts

import { readFileSync, writeFileSync } from 'node:fs';
import { PROJECTION_KINDS } from '../src/adapters/kinds.ts';
import type { ProjectionDirection } from '../src/adapters/types.ts';
import type { KindResults, MeasuredProjection } from './adapter-kinds.ts';

const TARGET = 'docs/adapters.svg';
const [WIDTH, HEIGHT] = [940, 430];
const [TOP, BOTTOM] = [76, 350];
const PANELS: readonly { readonly direction: ProjectionDirection; readonly title: string; readonly left: number }[] = [
  { direction: 'document', title: 'document: old vectors mapped, new queries', left: 60 },
  { direction: 'query', title: 'query: new queries mapped, old vectors', left: 430 },
];
const PANEL = 300;
const RECALL = [0.55, 0.9] as const;
const COLOURS = ['#868e96', '#f08c00', '#1971c2', '#0b7285', '#9c36b5'];
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .muted { fill: #59636e } .small { font-size: 11px }
  .grid { stroke: #d1d9e0 } .page { fill: #ffffff } .real { stroke: #2f9e44; stroke-dasharray: 6 4 } .old { stroke: #e03131; stroke-dasharray: 2 4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .muted { fill: #9198a1 } .grid { stroke: #3d444d } .page { fill: #0d1117 }
  }`;

const { measured, holdout } = JSON.parse(readFileSync('bench/results/adapter-kinds.json', 'utf8')) as KindResults;
const amounts = [...new Set(measured.map(({ pairs }) => pairs))].sort((a, b) => a - b);
const kinds = PROJECTION_KINDS.filter((each) => measured.some(({ kind }) => kind === each));

function x(left: number, pairs: number, shift = 0): number {
  const [least = 1, most = 1] = [amounts[0], amounts.at(-1)];
  return left + 30 + ((PANEL - 60) * Math.log(pairs / least)) / Math.log(most / least) + shift;
}

function y(recall: number): number {
  return BOTTOM - ((BOTTOM - TOP) * (recall - RECALL[0])) / (RECALL[1] - RECALL[0]);
}

/** The points of a kind with the 95% interval of what it keeps; side by side, so that the intervals can be told apart. */
function drawKind(left: number, points: readonly MeasuredProjection[], at: number): string {
  const colour = COLOURS[at] ?? '#868e96';
  const shift = (at - (kinds.length - 1) / 2) * 7;
  const sorted = [...points].sort((a, b) => a.pairs - b.pairs);
  const place = ({ pairs, metrics }: MeasuredProjection): string =>
    `${x(left, pairs, shift).toFixed(1)},${y(metrics.recallAt10.adapted).toFixed(1)}`;
  const marks = sorted.map(({ kind, pairs, metrics }) => {
    const { real, adapted, retention, low, high } = metrics.recallAt10;
    const [cx, cy] = [x(left, pairs, shift).toFixed(1), y(adapted).toFixed(1)];
    const title = `${kind}, ${pairs} pairs: Recall@10 ${adapted.toFixed(3)}, ${retention.toFixed(3)} of ${real.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
    return (
      `<line x1="${cx}" x2="${cx}" y1="${y(low * real).toFixed(1)}" y2="${y(high * real).toFixed(1)}" stroke="${colour}" stroke-opacity="0.45"/>` +
      `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"><title>${title}</title></circle>`
    );
  });
  return `<polyline points="${sorted.map(place).join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>\n${marks.join('\n')}`;
}

function level(left: number, recall: number | undefined, name: 'real' | 'old', label: string): string {
  if (recall === undefined) return '';
  return (
    `<line class="${name}" x1="${left}" x2="${left + PANEL}" y1="${y(recall).toFixed(1)}" y2="${y(recall).toFixed(1)}"/>` +
    `<text class="muted small" x="${left + PANEL}" y="${(y(recall) - 5).toFixed(1)}" text-anchor="end">${label} ${recall.toFixed(3)}</text>`
  );
}

function drawPanel({ direction, title, left }: (typeof PANELS)[number]): string {
  const own = measured.filter((each) => each.direction === direction);
  const recall = own[0]?.metrics.recallAt10;
  const ticks = [0.6, 0.7, 0.8, 0.9];
  return [
    `<text x="${left}" y="${TOP - 16}">${title}</text>`,
    ...ticks.map(
      (tick) =>
        `<line class="grid" x1="${left}" x2="${left + PANEL}" y1="${y(tick)}" y2="${y(tick)}"/><text x="${left - 8}" y="${y(tick) + 4}" text-anchor="end">${tick.toFixed(1)}</text>`,
    ),
    ...amounts.map(
      (pairs) =>
        `<text x="${x(left, pairs).toFixed(1)}" y="${BOTTOM + 20}" text-anchor="middle">${pairs.toLocaleString('en-US')}</text>`,
    ),
    `<text class="muted" x="${left + PANEL / 2}" y="${BOTTOM + 42}" text-anchor="middle">pairs learned from</text>`,
    level(left, recall?.real, 'real', 'new model alone'),
    level(left, recall?.old, 'old', 'old model alone'),
    ...kinds.map((kind, at) =>
      drawKind(
        left,
        own.filter((each) => each.kind === kind),
        at,
      ),
    ),
  ].join('\n');
}

const legend = kinds.map((kind, at) => {
  const top = TOP + 12 + at * 24;
  return `<line x1="762" x2="786" y1="${top}" y2="${top}" stroke="${COLOURS[at]}" stroke-width="3"/><text x="794" y="${top + 4}">${kind}</text>`;
});
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Recall@10 of adapted vectors by kind and number of pairs">
<style>${STYLE}
</style>
<rect class="page" width="${WIDTH}" height="${HEIGHT}"/>
<text class="title" x="16" y="26">Recall@10 of titles among ${holdout} held-out passages; bars: 95% interval</text>
${PANELS.map(drawPanel).join('\n')}
${legend.join('\n')}
</svg>
`;
writeFileSync(TARGET, svg);
console.log(`Wrote ${TARGET}.`);
