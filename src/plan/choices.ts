import type { MigrationDefinition } from '../config/types.ts';
import { plural } from '../plural.ts';
import type { PlanFacts } from './facts.ts';
import { oldIndexKind, WRITE_RATES } from './write-rates.ts';

/** What a setting of the configuration means for this table. */
export interface PlannedChoice {
  readonly option: 'oldIndex' | 'oldColumn';
  readonly value: 'keep' | 'drop';
  readonly chosen: boolean;
  readonly means: string;
}

/** What keeping and dropping mean here. */
export function planChoices(facts: PlanFacts, definition: MigrationDefinition): PlannedChoice[] {
  const { oldIndex, oldColumn } = definition;
  return [
    { option: 'oldIndex', value: 'keep', chosen: oldIndex === 'keep', means: keepIndexMeans(facts) },
    {
      option: 'oldIndex',
      value: 'drop',
      chosen: oldIndex === 'drop',
      means:
        facts.annIndexes.length === 0
          ? 'nothing to drop'
          : `005 drops ${names(facts)}: searches read the whole table until 007 (0.5 to 0.8 s a query at 120,000 rows), writes reach about ${rate('none')}`,
    },
    {
      option: 'oldColumn',
      value: 'keep',
      chosen: oldColumn === 'keep',
      means: `007 keeps the old vectors as "${definition.column}_old" for ${definition.retentionDays} ${plural(definition.retentionDays, 'day')}, so that it can be undone at once; "reembed finalize" drops them`,
    },
    {
      option: 'oldColumn',
      value: 'drop',
      chosen: oldColumn === 'drop',
      means: '007 drops the old vectors after a backup with checksums; going back means restoring it',
    },
  ];
}

function keepIndexMeans(facts: PlanFacts): string {
  const kind = oldIndexKind(facts);
  if (kind === 'none') return `there is no index on the old vectors: writes reach about ${rate('none')}`;
  return `searches stay as fast as they are; every row written also goes into ${names(facts)}: about ${rate(kind)} instead of ${rate('none')}`;
}

function rate(kind: keyof typeof WRITE_RATES): string {
  return `${WRITE_RATES[kind].toLocaleString('en-US')} rows/s`;
}

function names(facts: PlanFacts): string {
  return facts.annIndexes.map((index) => index.name).join(', ');
}
