// Draws docs/benchmarks.svg out of bench/results/*.json: one panel a file, one bar a contender, median with minimum and maximum.
//   npm run bench:plot

import { writeFileSync } from 'node:fs';
import { median } from './measure.ts';
import { type Panel, readPanel } from './panel.ts';

const TARGET = 'docs/benchmarks.svg';
const PANELS: readonly string[] = [
  'peers',
  'peers-bge-small-shape',
  'backfill-model',
  'backfill-hash',
  'write',
  'write-embedded',
];

const WIDTH = 940;
const LABELS = 400;
const VALUES = 110;
const ROW = 26;
const BAR = 14;
const HEAD = 44;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .muted { fill: #59636e }
  .ours { fill: #0b7285 }
  .other { fill: #aab4be }
  .range { stroke: #1f2328; stroke-width: 1.2 }
  .axis { stroke: #d1d9e0 }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .muted { fill: #9198a1 } .ours { fill: #3bc9db } .other { fill: #59636e }
    .range { stroke: #e6edf3 } .axis { stroke: #3d444d } .page { fill: #0d1117 }
  }`;

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function heightOf(panel: Panel): number {
  return HEAD + panel.results.length * ROW + 14;
}

/** A panel whose own fastest round spans the whole width: panels have different units and are not compared. */
function drawPanel(panel: Panel, top: number): string {
  const most = Math.max(...panel.results.flatMap(({ rates }) => rates));
  const scale = (value: number): number => (value / most) * (WIDTH - LABELS - VALUES);
  const rows = panel.results.map(({ name, ours, rates }, index) => {
    const middle = top + HEAD + index * ROW + ROW / 2;
    const value = median(rates);
    const [low, high] = [LABELS + scale(Math.min(...rates)), LABELS + scale(Math.max(...rates))];
    return [
      `<text x="${LABELS - 10}" y="${middle + 4}" text-anchor="end">${escapeXml(name)}</text>`,
      `<rect class="${ours ? 'ours' : 'other'}" x="${LABELS}" y="${middle - BAR / 2}" width="${scale(value).toFixed(1)}" height="${BAR}" rx="2"/>`,
      `<line class="range" x1="${low.toFixed(1)}" x2="${high.toFixed(1)}" y1="${middle}" y2="${middle}"/>`,
      `<text x="${(Math.max(high, LABELS + scale(value)) + 8).toFixed(1)}" y="${middle + 4}">${Math.round(value).toLocaleString('en-US')}</text>`,
    ].join('\n');
  });
  return [
    `<text class="title" x="16" y="${top + 22}">${escapeXml(panel.title)}</text>`,
    `<text class="muted" x="${WIDTH - 16}" y="${top + 22}" text-anchor="end">${escapeXml(panel.unit)}, median; line: minimum to maximum</text>`,
    `<line class="axis" x1="${LABELS}" x2="${LABELS}" y1="${top + HEAD - 4}" y2="${top + heightOf(panel) - 10}"/>`,
    ...rows,
  ].join('\n');
}

const panels = PANELS.map(readPanel);
let top = 8;
const drawn: string[] = [];
for (const panel of panels) {
  drawn.push(drawPanel(panel, top));
  top += heightOf(panel);
}
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top + 8}" role="img" aria-label="Benchmarks of reembed">
<style>${STYLE}
</style>
<rect class="page" width="${WIDTH}" height="${top + 8}"/>
${drawn.join('\n')}
</svg>
`;
writeFileSync(TARGET, svg);
console.log(`Wrote ${TARGET}.`);
