import type { TriedKind } from '../adapters/train.ts';
import type { ProjectionEntry } from '../adapters/types.ts';
import { count } from '../amounts.ts';
import type { TrainedAdapter } from '../steps/adapter/types.ts';
import { adapterMeasures } from './adapter-report.ts';
import { textTable } from './text-table.ts';

/** What was trained, what it loses, and what to do with it. */
export function trainReport({ entry, dir, tried, chosenOn, leftOut, warnings, seconds }: TrainedAdapter): string {
  return [
    ...(tried.length === 0 ? [] : comparison(tried, entry, chosenOn)),
    ...leftOut.map(({ kind, reason }) => `Not tried, ${kind}: ${reason}`),
    ...(leftOut.length === 0 ? [] : ['']),
    adapterMeasures(entry),
    '',
    ...warnings.flatMap((warning) => [`Warning: ${warning}`, '']),
    `Registered as ${entry.id} in ${dir} (${seconds.toFixed(1)} s).`,
    nextStep(entry),
  ].join('\n');
}

function comparison(tried: readonly TriedKind[], { kind: chosen }: ProjectionEntry, pairs: number): string[] {
  const queries = tried[0]?.metrics.queries.count ?? 0;
  const head = ['kind', 'Recall@10', 'MRR', 'cosine', 'similarity', 'seconds', ''];
  const lines = tried.map(({ kind, metrics, seconds }) => [
    kind,
    metrics.recallAt10.adapted.toFixed(3),
    metrics.reciprocalRank.adapted.toFixed(3),
    metrics.cosine.mean.toFixed(3),
    metrics.similarityPreservation.toFixed(3),
    seconds.toFixed(1),
    kind === chosen ? '<- finds most' : '',
  ]);
  const real = tried[0]?.metrics;
  const best =
    real === undefined
      ? []
      : [
          [
            'real vectors',
            real.recallAt10.real.toFixed(3),
            real.reciprocalRank.real.toFixed(3),
            '1.000',
            '1.000',
            '',
            '',
          ],
        ];
  return [
    `Kinds compared on ${count(pairs, 'pair')} kept apart from the training, with ${count(queries, 'query', 'queries')}:`,
    '',
    textTable(head, [...lines, ...best]),
    '',
  ];
}

function nextStep({ id, direction }: ProjectionEntry): string {
  return direction === 'document'
    ? `Next: reembed up --to 005, reembed backfill --adapter ${id}, and later reembed backfill --replace-adapted.`
    : `Next: reembed search --adapter ${id} "a question", and in the application a query adapter (docs/adapters.md).`;
}
