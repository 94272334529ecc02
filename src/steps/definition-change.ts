import { PreflightError, type Step } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import type { MigrationRecord } from '../state/records.ts';

const PINNED = [
  'text',
  'column',
  'target',
  'dimensions',
  'vectorType',
] as const satisfies readonly (keyof MigrationRecord)[];

/**
 * Refuses to go on with a migration whose columns the configuration names differently than when it was started: what is there was made
 * for the old ones. The model may change; its rows are then embedded again.
 *
 * @throws PreflightError `definition_changed`
 */
export function assertSameDefinition(
  ctx: MigrationContext,
  record: MigrationRecord,
  table: { readonly name: string },
  step: Step,
): void {
  const { definition } = ctx;
  const changes = [
    ...(table.name === definition.table.name ? [] : [`table ${definition.table.name} (was ${table.name})`]),
    ...PINNED.filter((field) => record[field] !== definition[field]).map(
      (field) => `${field} ${definition[field]} (was ${record[field]})`,
    ),
  ];
  if (changes.length === 0) return;
  throw new PreflightError(
    'definition_changed',
    `The migration "${record.id}" was started with another configuration, which now says ${changes.join(', ')}.`,
    {
      step,
      hint: `Give the new migration an id of its own, or undo this one first: "reembed down --migration ${record.id}".`,
      context: { phase: record.phase },
    },
  );
}
