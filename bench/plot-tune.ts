// Draws docs/tuning.svg out of bench/results/tune.json: recall against latency, one line an index, its settings as points.
//   node --import=tsx bench/plot-tune.ts

import { readFileSync, writeFileSync } from 'node:fs';
import type { MeasuredIndex } from './tune.ts';

interface Results {
  readonly rows: number;
  readonly k: number;
  readonly exactMs: number;
  readonly measured: readonly MeasuredIndex[];
}

const TARGET = 'docs/tuning.svg';
const [WIDTH, HEIGHT] = [940, 520];
const PLOT = { left: 70, right: 650, top: 56, bottom: 450 };
const RECALL = [0.5, 1] as const;
const COLOURS = ['#1971c2', '#74c0fc', '#0b7285', '#e8590c', '#f08c00', '#9c36b5', '#2f9e44'];
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .muted { fill: #59636e } .small { font-size: 11px }
  .grid { stroke: #d1d9e0 } .page { fill: #ffffff } .goal { stroke: #59636e; stroke-dasharray: 4 4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .muted { fill: #9198a1 } .grid { stroke: #3d444d } .page { fill: #0d1117 } .goal { stroke: #9198a1 }
  }`;

const { rows, k, exactMs, measured } = JSON.parse(readFileSync('bench/results/tune.json', 'utf8')) as Results;
const latencies = measured.flatMap(({ titles }) => titles.map(({ p50Ms }) => p50Ms));
const [least, most] = [Math.min(...latencies) * 0.85, Math.max(...latencies, exactMs) * 1.15];

function x(milliseconds: number): number {
  return PLOT.left + ((PLOT.right - PLOT.left) * Math.log(milliseconds / least)) / Math.log(most / least);
}

function y(recall: number): number {
  return PLOT.bottom - ((PLOT.bottom - PLOT.top) * (recall - RECALL[0])) / (RECALL[1] - RECALL[0]);
}

function labelOf({ kind, quantization, options, name }: MeasuredIndex): string {
  if (kind === 'ivfflat') return `IVFFlat, ${options.lists} lists (${name})`;
  const quantised = quantization === 'none' ? '' : `, ${quantization}`;
  return `HNSW ${options.m}/${options.ef_construction}${quantised}`;
}

function line(index: MeasuredIndex, colour: string, at: number): string {
  const points = index.titles.filter(({ recall }) => recall.mean >= RECALL[0]);
  const path = points.map(({ p50Ms, recall }) => `${x(p50Ms).toFixed(1)},${y(recall.mean).toFixed(1)}`).join(' ');
  const setting = index.kind === 'ivfflat' ? 'probes' : 'ef_search';
  const dots = points.map(
    ({ setting: value, p50Ms, recall }) =>
      `<circle cx="${x(p50Ms).toFixed(1)}" cy="${y(recall.mean).toFixed(1)}" r="3.5" fill="${colour}"><title>${labelOf(index)}, ${setting} ${value}: recall ${recall.mean.toFixed(3)}, ${p50Ms.toFixed(2)} ms</title></circle>`,
  );
  const top = PLOT.top + 10 + at * 42;
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...dots,
    `<line x1="672" x2="696" y1="${top}" y2="${top}" stroke="${colour}" stroke-width="3"/>`,
    `<text x="704" y="${top + 4}">${labelOf(index)}</text>`,
    `<text class="muted small" x="704" y="${top + 19}">${(index.bytes / 1e6).toFixed(1)} MB</text>`,
  ].join('\n');
}

const TICKS = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200].filter((tick) => tick > least && tick < most);
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Recall against latency of vector indexes">
<style>${STYLE}
</style>
<rect class="page" width="${WIDTH}" height="${HEIGHT}"/>
<text class="title" x="16" y="26">Recall@${k} against latency: ${rows.toLocaleString('en-US')} windows of text, 384 dimensions, searched for by titles</text>
${[0.5, 0.6, 0.7, 0.8, 0.9, 1]
  .map(
    (tick) =>
      `<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(tick)}" y2="${y(tick)}"/><text x="${PLOT.left - 10}" y="${y(tick) + 4}" text-anchor="end">${tick.toFixed(1)}</text>`,
  )
  .join('\n')}
${TICKS.map((tick) => `<line class="grid" x1="${x(tick).toFixed(1)}" x2="${x(tick).toFixed(1)}" y1="${PLOT.top}" y2="${PLOT.bottom}"/><text x="${x(tick).toFixed(1)}" y="${PLOT.bottom + 20}" text-anchor="middle">${tick}</text>`).join('\n')}
<line class="goal" x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(0.95)}" y2="${y(0.95)}"/>
<text class="muted" x="${(PLOT.left + PLOT.right) / 2}" y="${PLOT.bottom + 44}" text-anchor="middle">milliseconds a search, median (logarithmic); points: settings, smallest at the left; dashes: 0.95</text>
<text class="muted" x="16" y="${PLOT.top - 12}">recall@${k}</text>
${measured.map((index, i) => line(index, COLOURS[i] ?? '#868e96', i)).join('\n')}
<line class="goal" x1="${x(exactMs).toFixed(1)}" x2="${x(exactMs).toFixed(1)}" y1="${PLOT.top}" y2="${PLOT.bottom}"/>
<text class="muted small" x="${(x(exactMs) - 6).toFixed(1)}" y="${PLOT.bottom - 8}" text-anchor="end">no index: ${exactMs.toFixed(0)} ms</text>
</svg>
`;
writeFileSync(TARGET, svg);
console.log(`Wrote ${TARGET}.`);
