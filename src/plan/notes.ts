import { usd } from '../amounts.ts';
import type { MigrationDefinition } from '../config/types.ts';
import type { PlannedCost } from './plan-cost.ts';
import type { PlannedVectorIndex } from './plan-indexes.ts';
import type { PlannedTexts } from './plan-texts.ts';
import type { MigrationPlan } from './types.ts';

/** What deserves to be known before the migration is started. */
export function planNotes(
  definition: MigrationDefinition,
  indexes: readonly PlannedVectorIndex[],
  reckoned: Pick<MigrationPlan, 'texts' | 'cost'>,
  swapped: boolean,
): string[] {
  const notices = indexes.flatMap((index) => (index.notice === undefined ? [] : [`${index.name}: ${index.notice}`]));
  return [
    ...(swapped ? [`"${definition.id}" has exchanged the columns already: nothing of this is left to do.`] : []),
    ...budgetNotes(reckoned.cost),
    ...(reckoned.texts === undefined || reckoned.texts.done.value === 0
      ? []
      : [
          'Some rows are embedded already: tokens, cost and time are those of the rest, disk and WAL those of the whole.',
        ]),
    ...limitNotes(reckoned.texts),
    'Every row is written once: until VACUUM has run, its former version takes room beside it.',
    ...(definition.oldColumn === 'drop'
      ? ['Dropping the old column frees no room on disk until VACUUM FULL or a repack.']
      : []),
    ...(indexes.length > 0 ? ['Lists and probes are decided again in 007, from the rows that are there then.'] : []),
    ...new Set(notices),
  ];
}

function budgetNotes({ usd: cost, budgetUsd }: PlannedCost): string[] {
  if (budgetUsd === undefined) return [];
  if (cost === undefined) return [`Whether the budget of ${usd(budgetUsd)} is enough cannot be told.`];
  if (cost.value > budgetUsd)
    return [`Over budget: about ${usd(cost.value)} of ${usd(budgetUsd)}; the backfill would stop there, resumably.`];
  return cost.high > budgetUsd
    ? [`The budget of ${usd(budgetUsd)} may not be enough: it can become ${usd(cost.high)}.`]
    : [];
}

/** What becomes of texts that the model cannot read whole. */
function limitNotes(texts: PlannedTexts | undefined): string[] {
  if (texts?.maxTokens === undefined || texts.truncated.value === 0) return [];
  return [
    `Texts over ${texts.maxTokens.toLocaleString('en-US')} tokens are cut there: what lies behind is not found by a search.`,
  ];
}
