import { usd } from '../amounts.ts';
import type { MigrationDefinition } from '../config/types.ts';
import { isBeyond, type PlannedCost } from './plan-cost.ts';
import type { PlannedVectorIndex } from './plan-indexes.ts';
import type { PlannedTexts } from './plan-texts.ts';
import type { MigrationPlan } from './types.ts';

/** What deserves to be known before the migration is started. */
export function planNotes(
  definition: MigrationDefinition,
  indexes: readonly PlannedVectorIndex[],
  reckoned: Pick<MigrationPlan, 'texts' | 'cost' | 'adapter'>,
  swapped: boolean,
): string[] {
  const notices = indexes.flatMap((index) => (index.notice === undefined ? [] : [`${index.name}: ${index.notice}`]));
  return [
    ...(swapped ? [`"${definition.id}" has exchanged the columns already: nothing of this is left to do.`] : []),
    ...adapterNotes(reckoned.adapter),
    ...budgetNotes(reckoned.cost),
    ...(reckoned.texts === undefined || reckoned.texts.done.value === 0
      ? []
      : [
          'Some rows are embedded already: tokens, cost and the time of the backfill are those of the rest; disk, WAL and indexes are those of the whole.',
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

function adapterNotes(adapter: MigrationPlan['adapter']): string[] {
  if (adapter === undefined) return [];
  const { name, quality } = adapter;
  const known = quality === undefined ? '' : ` (${quality})`;
  return [
    `006 maps the old vectors by ${name}${known}: no text is read, no token paid. Rows without an old vector are embedded.`,
  ];
}

function budgetNotes({ usd: cost, spentUsd, budgetUsd, overBudget }: PlannedCost): string[] {
  if (budgetUsd === undefined) return [];
  if (cost === undefined) return [`Whether the budget of ${usd(budgetUsd)} is enough cannot be told.`];
  const before = spentUsd === 0 ? '' : ` after the ${usd(spentUsd)} that are spent`;
  if (overBudget === true)
    return [
      `Over budget: about ${usd(cost.value)} of ${usd(budgetUsd)}${before}; the backfill would stop there, resumably.`,
    ];
  return isBeyond(cost.high, { spentUsd, budgetUsd })
    ? [`The budget of ${usd(budgetUsd)} may not be enough: it can become ${usd(cost.high)}${before}.`]
    : [];
}

/** What becomes of texts that the model cannot read whole. */
function limitNotes(texts: PlannedTexts | undefined): string[] {
  if (texts?.maxTokens === undefined || texts.truncated.value === 0) return [];
  return [
    `Texts over ${texts.maxTokens.toLocaleString('en-US')} tokens are cut there: what lies behind is not found by a search.`,
  ];
}
