import type { EvaluationResult } from '../evaluate/types.ts';
import { differenceChart } from './difference-chart.ts';
import { escapeHtml, htmlOfBlocks } from './document.ts';
import { evaluationBlocks, madeBlock, verdictSentence } from './evaluation-report.ts';

const STYLE = `
:root { color-scheme: light dark; --line: #d6dae0; --soft: #59636e; --go: #1a7f37; --no-go: #cf222e; --inconclusive: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --soft: #9198a1; --go: #3fb950; --no-go: #f85149; --inconclusive: #d29922; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
.verdict { border-left: 6px solid; padding: 0.6rem 1rem; font-size: 1.1rem; }
.go { border-color: var(--go); } .no-go { border-color: var(--no-go); } .inconclusive { border-color: var(--inconclusive); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; } .number { text-align: right; white-space: nowrap; } ul { padding-left: 1.2rem; }
svg { max-width: 100%; height: auto; } svg text { font: 13px system-ui, sans-serif; fill: currentColor; } .soft { fill: var(--soft); color: var(--soft); }
`;

/** One self-contained page: no script, and nothing is loaded. */
export function evaluationHtml(result: EvaluationResult): string {
  const [, ...blocks] = evaluationBlocks(result);
  const title = escapeHtml(`Evaluation of ${result.migration}`);
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${STYLE}</style></head>`,
    `<body><h1>${title}</h1>`,
    `<p class="verdict ${result.verdict}"><strong>${escapeHtml(verdictSentence(result)).replace(':', ':</strong>')}</p>`,
    differenceChart(result),
    htmlOfBlocks(blocks),
    `<div class="soft">${htmlOfBlocks([madeBlock(result)])}</div>`,
    '</body></html>',
    '',
  ].join('\n');
}
