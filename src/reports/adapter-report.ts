import type { ProjectionEntry, ProjectionMetrics, ProjectionSpace, Retention } from '../adapters/types.ts';
import { count, number } from '../amounts.ts';
import { textTable } from './text-table.ts';

/** Below it neighbours change so much that a search is another one; from the second on it is what production should have. */
const POOR = 0.8;
const GOOD = 0.85;
/** Of what real vectors find; with less a user notices. */
const GOOD_RECALL = 0.9;
/** Limits that are shown. */
const SHOWN_LIMITS = 5;

/** A layer of a projection without its values. */
export interface LayerShape {
  readonly input: number;
  readonly output: number;
  readonly hidden: number | null;
  readonly normalize: boolean;
}

/** The projections of a registry as a table. */
export function adapterList(dir: string, entries: readonly ProjectionEntry[]): string {
  if (entries.length === 0) {
    return `No projections in ${dir}. "reembed adapter train" learns one, "reembed adapter import <file>" takes one over.`;
  }
  const head = ['id', 'direction', 'dimensions', 'Recall@10 kept', '95% interval', 'similarity', 'made'];
  const lines = entries.map(({ id, direction, source, target, metrics, createdAt }) => [
    id,
    direction,
    `${source.dimensions} -> ${target.dimensions}`,
    ...(metrics === undefined
      ? ['not measured', '', '']
      : [
          metrics.recallAt10.retention.toFixed(3),
          interval(metrics.recallAt10),
          metrics.similarityPreservation.toFixed(3),
        ]),
    createdAt.slice(0, 10),
  ]);
  return [
    `${count(entries.length, 'projection')} in ${dir}, each measured on vectors that it was not trained on.`,
    '',
    textTable(head, lines),
    '',
    'All measures, and what they mean: reembed adapter show <id>',
  ].join('\n');
}

/** One line: what it maps, and what it loses. */
export function adapterSummary({ direction, kind, source, target, metrics }: ProjectionEntry): string {
  const what = direction === 'document' ? 'stored vectors' : 'query vectors';
  return `${kind}, maps ${what} of ${spaceName(source)} to ${spaceName(target)}; ${qualityLine(kind, metrics)}.`;
}

/** One projection with all its measures. */
export function adapterDetails(entry: ProjectionEntry, layers: readonly LayerShape[]): string {
  const { id, direction, source, target, parameters, metrics, range } = entry;
  const chosen = Object.entries(parameters).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  const lines: (readonly [string, string])[] = [
    ['projection', id],
    ['kind', [kindText(entry), ...chosen].join(', ')],
    ['maps', direction === 'document' ? 'stored vectors (document)' : "queries' vectors (query)"],
    ['from', spaceName(source)],
    ['to', spaceName(target)],
    ['layers', layers.map(layerText).join(', then ')],
    ['learned from', learnedFrom(entry)],
    [
      'input norms',
      `${range.minNorm.toPrecision(4)} to ${range.maxNorm.toPrecision(4)}; vectors far outside are refused`,
    ],
    ['made', `${entry.createdAt.slice(0, 16).replace('T', ' ')} UTC, seed ${entry.seed}`],
    ['file', `${entry.file}, sha256 ${entry.sha256}`],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return [
    ...lines.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    '',
    ...(metrics === undefined ? [unmeasured(entry)] : measured(entry, metrics)),
  ].join('\n');
}

/** What it maps, and all its measures. */
export function adapterMeasures(entry: ProjectionEntry): string {
  const { metrics } = entry;
  const lines = metrics === undefined ? [unmeasured(entry)] : measured(entry, metrics);
  return [adapterSummary(entry), `Learned from ${learnedFrom(entry)}.`, '', ...lines].join('\n');
}

function measured({ kind }: Pick<ProjectionEntry, 'kind'>, metrics: ProjectionMetrics): string[] {
  const { queries, recallAt10, reciprocalRank, cosine, thresholds } = metrics;
  const rows = [
    ['Recall@10', ...retentionCells(recallAt10)],
    ['MRR', ...retentionCells(reciprocalRank)],
  ];
  return [
    `Measured on ${number(metrics.holdout)} vectors ${kind === 'chain' ? 'as a whole' : 'that it was not trained on'}, with ${count(queries.count, 'query', 'queries')} (${queries.source}):`,
    '',
    textTable(['', 'real', 'adapted', 'old model', 'kept', '95% interval'], rows),
    '',
    `cosine to the real vector         ${cosine.mean.toFixed(3)} in the mean, ${cosine.p5.toFixed(3)} at the 5th percentile; mean squared error ${metrics.mse.toPrecision(3)}`,
    `similarities between vectors      ${metrics.similarityPreservation.toFixed(3)} correlated with the real ones`,
    `the ten nearest neighbours        ${(100 * metrics.neighbourConsistencyAt10).toFixed(0)}% the same`,
    `scores of hits                    ${metrics.scoreShrinkage.toFixed(3)} of the real ones${thresholdText(thresholds)}`,
    '',
    meaning(kind, metrics),
  ];
}

/** What the numbers say about using it, and what they do not. */
function meaning(kind: ProjectionEntry['kind'], metrics: ProjectionMetrics): string {
  const { recallAt10, similarityPreservation, queries, holdout } = metrics;
  const lost = 1 - recallAt10.retention;
  const found =
    lost <= 0
      ? 'Searches found as much through it as in real vectors'
      : `Through it about ${(100 * lost).toFixed(1)}% of what real vectors find was not found`;
  const range = `${(100 * recallAt10.low).toFixed(0)} to ${(100 * recallAt10.high).toFixed(0)}% kept is what ${count(queries.count, 'query', 'queries')} can tell`;
  const advice =
    similarityPreservation < POOR
      ? `Similarity preservation under ${100 * POOR}%: train on more samples or another kind, or embed the texts again.`
      : recallAt10.retention < GOOD_RECALL
        ? 'A search loses much: train on more samples or another kind, or serve it only where nothing else can be served.'
        : similarityPreservation < GOOD
          ? `Similarity preservation is under the ${100 * GOOD}% that production should have: good for a while, until the texts are embedded again.`
          : 'Good enough to serve while the texts are embedded again behind it.';
  const limits =
    kind === 'chain'
      ? `It says so for text like those ${number(holdout)}, as far as the parts were not trained on them, and nothing about other text.`
      : `It says so for text like the ${number(holdout)} held-out ones, and nothing about other text.`;
  return [`${found}; ${range}.`, advice, limits].join('\n');
}

function unmeasured({ kind, id }: ProjectionEntry): string {
  const which =
    kind === 'chain' ? 'The parts of a chain were measured, the chain itself was not' : 'It was not measured';
  return `${which}: what it loses is unknown, and nothing chooses ${id} by itself.`;
}

function retentionCells({ real, adapted, old, ...kept }: Retention): string[] {
  return [
    real.toFixed(3),
    adapted.toFixed(3),
    old === undefined ? '–' : old.toFixed(3),
    kept.retention.toFixed(3),
    interval(kept),
  ];
}

function interval({ low, high }: Pick<Retention, 'low' | 'high'>): string {
  return `${low.toFixed(3)}–${high.toFixed(3)}`;
}

function thresholdText(thresholds: ProjectionMetrics['thresholds']): string {
  if (thresholds.length === 0) return '';
  const step = Math.ceil(thresholds.length / SHOWN_LIMITS);
  const shown = thresholds.filter((_, i) => i % step === 0);
  const pairs = shown.map(({ real, adapted }) => `${real.toFixed(2)} -> ${adapted.toFixed(2)}`);
  return `; a limit on them becomes ${pairs.join(', ')}`;
}

function qualityLine(kind: ProjectionEntry['kind'], metrics: ProjectionMetrics | undefined): string {
  if (metrics === undefined) return 'what it loses was not measured';
  const { retention, low, high } = metrics.recallAt10;
  return `Recall@10 kept ${retention.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})${kind === 'chain' ? '' : ' on held-out text'}`;
}

function kindText({ kind, composedOf }: ProjectionEntry): string {
  return composedOf === undefined || composedOf.length === 0 ? kind : `${kind} of ${composedOf.join(', then ')}`;
}

function learnedFrom({ kind, samples }: ProjectionEntry): string {
  if (kind === 'chain') return `what its parts learned from, ${count(samples.training, 'pair')} at least`;
  const { training, validation } = samples;
  const chosenBy = validation === 0 ? '' : `, ${number(validation)} more to choose by`;
  return `${count(training, 'pair')}${chosenBy}`;
}

function layerText({ input, output, hidden, normalize }: LayerShape): string {
  const units = hidden === null ? '' : ` with ${hidden} hidden units`;
  return `${input} -> ${output}${units}${normalize ? ', to unit length' : ''}`;
}

/** E.g. `local all-MiniLM-L6-v2 (384 dimensions, int8)`. */
function spaceName({ fingerprint, dimensions }: ProjectionSpace): string {
  const { provider, name, column, dtype } = fingerprint;
  const unknown = typeof column === 'string' ? `an unknown model in the column ${column}` : 'an unknown model';
  const known = [typeof provider === 'string' ? provider : '', typeof name === 'string' ? name : unknown];
  const details = [`${dimensions} dimensions`, ...(typeof dtype === 'string' ? [dtype] : [])];
  return `${known.filter((each) => each !== '').join(' ')} (${details.join(', ')})`;
}
