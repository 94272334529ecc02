import type { MigrationPlan } from '../../plan/types.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { bytes, columns, count } from '../text.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed plan`: what the three migrations will do to this table. Changes nothing. */
export const plan = defineCommand({
  usage: 'plan',
  describe: 'What the migrations will do, and what each choice costs',
  flags: (yargs) =>
    migrationFlags(yargs).option('sql', { type: 'boolean', default: false, describe: 'With the statements' }),
  run: async (flags, cli) => {
    const { readFacts } = await import('../../inspect/facts.ts');
    const { makePlan } = await import('../../plan/make-plan.ts');
    const made = await withMigration(flags, cli, async (ctx) =>
      makePlan(await readFacts(ctx), ctx.definition, ctx.runtime.stateSchema),
    );
    cli.output.result(made, describe(made, flags.sql));
    return 0;
  },
});

function describe(made: MigrationPlan, withSql: boolean): string {
  const { storage } = made;
  const old = storage.oldColumnBytes === undefined ? 'unknown' : `about ${bytes(storage.oldColumnBytes)}`;
  const head = columns([
    ['Migration', made.migration],
    ['Table', `${made.table}, ${made.rowsCounted ? '' : 'about '}${count(made.rows, 'row')}`],
    ['From', `${made.column} ${made.from}`],
    ['To', `${made.target} ${made.to}, made by ${made.model} from ${made.text}`],
    ['Distance', made.distance],
    [
      'On disk now',
      `table ${bytes(storage.tableBytes)}, indexes ${bytes(storage.indexBytes)}; of it old vectors ${old}`,
    ],
    [
      'Needed',
      `about ${bytes(storage.newColumnBytes)} for the column, ${bytes(storage.newIndexBytes)} for its indexes`,
    ],
  ]);
  const steps = made.steps.map(({ name, summary, sql }) =>
    [`${name}: ${summary}`, ...(withSql ? sql.map((statement) => `  ${statement};`) : [])].join('\n'),
  );
  const indexes = made.indexes.map((index) => {
    const lists =
      index.lists === undefined ? '' : `, ${count(index.lists, 'list')}, ${count(index.probes ?? 1, 'probe')}`;
    const memory =
      index.buildMemoryBytes === undefined
        ? ''
        : `, maintenance_work_mem ${bytes(index.buildMemoryBytes)} while it is built`;
    return `Index ${index.name}: ${index.kind}${lists}, about ${bytes(index.bytes)}${memory}`;
  });
  const choices = made.choices.map(
    ({ option, value, chosen, means }) => `${chosen ? '*' : ' '} ${option}: '${value}': ${means}`,
  );
  return [head, steps.join('\n'), indexes.join('\n'), choices.join('\n'), made.notes.join('\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}
