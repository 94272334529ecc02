import type { Argv } from 'yargs';
import { amount } from './amount.ts';
import { type GlobalFlags, migrationFlags } from './command.ts';
import { wholeNumber } from './whole-number.ts';

const NEEDED = ['queries-per-month', 'recall-before', 'recall-after', 'value-per-query', 'hours', 'rate'] as const;
const OPTIONAL = ['rows', 'tokens-per-row', 'compute-usd', 'downtime-usd'] as const;
/** What has no meaning beside `--roi`. */
const OTHERS = ['sql', 'probe', 'checklist', 'budget'] as const;

/** The flags of `reembed plan`. */
export function planFlags(yargs: Argv<GlobalFlags>) {
  return roiFlags(reportFlags(migrationFlags(yargs))).check((flags) => {
    const problem = flagProblem(flags);
    if (problem !== undefined) throw new Error(problem);
    return true;
  });
}

/** As parsed. */
export type PlanFlags = Awaited<ReturnType<typeof planFlags>['argv']>;

function reportFlags<T>(yargs: Argv<T>) {
  const money = { type: 'string', requiresArg: true } as const;
  return yargs
    .option('sql', { type: 'boolean', default: false, describe: 'With the statements' })
    .option('probe', {
      type: 'boolean',
      default: false,
      describe: 'Embed some texts to measure how long it takes; a service is paid for them',
    })
    .option('price', {
      ...money,
      coerce: amount('price'),
      describe: 'US dollars a million tokens',
      defaultDescription: "EMBEDDING_PRICE, else the price table's",
    })
    .option('budget', {
      ...money,
      coerce: amount('budget'),
      describe: 'US dollars; exit code 1 when it costs more',
      defaultDescription: 'REEMBED_BUDGET_USD',
    })
    .option('markdown', { type: 'boolean', default: false, describe: 'As Markdown' })
    .option('checklist', { type: 'boolean', default: false, describe: 'A checklist for a change ticket, as Markdown' });
}

function roiFlags<T>(yargs: Argv<T>) {
  const one = { type: 'string', requiresArg: true } as const;
  return yargs
    .option('roi', { type: 'boolean', default: false, describe: 'Whether it pays: cost, benefit, break-even' })
    .option('queries-per-month', { ...one, coerce: amount('queries-per-month'), describe: 'With --roi' })
    .option('recall-before', { ...one, coerce: amount('recall-before', 0, 1), describe: 'With --roi: 0 to 1' })
    .option('recall-after', { ...one, coerce: amount('recall-after', 0, 1), describe: 'With --roi: 0 to 1' })
    .option('value-per-query', { ...one, coerce: amount('value-per-query'), describe: 'With --roi: US dollars' })
    .option('hours', { ...one, coerce: amount('hours'), describe: 'With --roi: of engineering' })
    .option('rate', { ...one, coerce: amount('rate'), describe: 'With --roi: US dollars an hour' })
    .option('rows', {
      ...one,
      coerce: wholeNumber('rows', 1),
      describe: 'With --roi: documents; no database is asked then',
    })
    .option('tokens-per-row', {
      ...one,
      coerce: amount('tokens-per-row'),
      describe: 'With --roi --rows: tokens of a document',
      defaultDescription: '1000',
    })
    .option('compute-usd', {
      ...one,
      coerce: amount('compute-usd'),
      describe: 'With --roi: machines',
      defaultDescription: '0',
    })
    .option('downtime-usd', {
      ...one,
      coerce: amount('downtime-usd'),
      describe: 'With --roi',
      defaultDescription: '0',
    });
}

type Flags = Readonly<Record<string, unknown>>;

/** Flags that need each other, or do not go together, in a sentence. */
function flagProblem(flags: Flags): string | undefined {
  const given = (names: readonly string[]): string[] =>
    names.filter((name) => flags[name] !== undefined && flags[name] !== false);
  if (flags.roi !== true) {
    const [first] = given([...NEEDED, ...OPTIONAL]);
    return first === undefined ? reportProblem(flags) : `--${first} is for --roi, which is missing`;
  }
  const missing = NEEDED.filter((name) => flags[name] === undefined);
  if (missing.length > 0) return `--roi needs ${missing.map((name) => `--${name}`).join(', ')}`;
  const [other] = given(OTHERS);
  if (other !== undefined) return `--${other} does not go with --roi`;
  if (flags['tokens-per-row'] !== undefined && flags.rows === undefined) {
    return '--tokens-per-row is for --rows; without it the table is looked at';
  }
  return undefined;
}

function reportProblem(flags: Flags): string | undefined {
  if (flags.checklist === true && flags.sql === true) return '--sql does not go with --checklist';
  return undefined;
}
