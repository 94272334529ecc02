import type { ArgumentsCamelCase, Argv } from 'yargs';
import { ConfigError } from '../../errors.ts';
import { rebuildReport, tuneReport } from '../../reports/tune-report.ts';
import { amount } from '../amount.ts';
import { type Cli, defineCommand, type ExitCode, type GlobalFlags, migrationFlags } from '../command.ts';
import { wholeNumber } from '../whole-number.ts';
import { withMigration } from '../with-migration.ts';

const SIDES = ['active', 'old', 'new'] as const;
const KINDS = ['ivfflat', 'hnsw'] as const;
const RULES = ['reference', 'pgvector'] as const;

/** `reembed tune`: the index searched with the setting that its recall asks for. 3 when no setting reaches it. */
export const tune = defineCommand({
  usage: 'tune',
  describe: 'Measure the recall of the vector index, and search it with what reaches the target',
  flags: (yargs) => buildFlags(measureFlags(yargs)),
  run: async (flags, cli) => {
    if (flags.build && flags.rebuild) throw usage('--build only tries, --rebuild builds: one of them at a time.');
    refuseMixed(flags);
    return flags.build ? tryCandidates(flags, cli) : measure(flags, cli);
  },
});

function measureFlags(yargs: Argv<GlobalFlags>) {
  const number = { type: 'string', requiresArg: true } as const;
  return migrationFlags(yargs)
    .option('recall', {
      ...number,
      coerce: amount('recall', 0.01, 1),
      describe: 'Recall@k to be reached',
      defaultDescription: '0.95',
    })
    .option('k', { ...number, coerce: wholeNumber('k', 1), describe: 'Hits that count', defaultDescription: '10' })
    .option('queries', {
      type: 'string',
      requiresArg: true,
      describe: 'A file of queries, a line each or JSON lines with "query"; else the vectors of random rows',
    })
    .option('query-count', {
      ...number,
      coerce: wholeNumber('query-count', 20),
      describe: 'Queries at most',
      defaultDescription: '200',
    })
    .option('side', { choices: SIDES, default: 'active', requiresArg: true, describe: 'Whose index' } as const)
    .option('dry-run', { type: 'boolean', default: false, describe: 'Measure only, keep nothing' });
}

function buildFlags(yargs: ReturnType<typeof measureFlags>) {
  const number = { type: 'string', requiresArg: true } as const;
  return yargs
    .option('build', { type: 'boolean', default: false, describe: 'Try other indexes on a copy of random rows' })
    .option('sample', {
      ...number,
      coerce: wholeNumber('sample', 1_000),
      describe: 'Rows that --build copies',
      defaultDescription: '20000',
    })
    .option('kind', { choices: KINDS, requiresArg: true, describe: 'Only these of --build' } as const)
    .option('rebuild', {
      type: 'boolean',
      default: false,
      describe: 'Build the index anew beside itself, then measure',
    })
    .option('lists', {
      ...number,
      coerce: listsOf,
      describe: 'IVFFlat lists of --rebuild: a number, reference or pgvector',
    })
    .option('m', { ...number, coerce: wholeNumber('m', 2), describe: 'HNSW m of --rebuild' })
    .option('ef-construction', {
      ...number,
      coerce: wholeNumber('ef-construction', 4),
      describe: 'HNSW ef_construction of --rebuild',
    })
    .option('drop-first', {
      type: 'boolean',
      default: false,
      describe: 'With --rebuild on a full disk: drop the old one first, and search without an index meanwhile',
    });
}

type Flags = ArgumentsCamelCase<ReturnType<typeof buildFlags> extends Argv<infer T> ? T : never>;

/** A flag that would say nothing is a misunderstanding. */
function refuseMixed({ build, rebuild, sample, kind, side, dryRun, lists, m, efConstruction, dropFirst }: Flags): void {
  if (!build && (sample !== undefined || kind !== undefined))
    throw usage('--sample and --kind say what --build tries.');
  if (!rebuild && (lists !== undefined || m !== undefined || efConstruction !== undefined || dropFirst)) {
    throw usage('--lists, --m, --ef-construction and --drop-first say how --rebuild builds.');
  }
  if (rebuild && (side !== 'active' || dryRun)) {
    throw usage('--rebuild builds the index that the application uses: neither --side nor --dry-run goes with it.');
  }
}

async function measure(flags: Flags, cli: Cli): Promise<ExitCode> {
  const { recall, k, queries, queryCount, side, dryRun, lists, m, efConstruction, dropFirst } = flags;
  const { tune: tuneIndex } = await import('../../steps/tune.ts');
  const { rebuildTunedIndex } = await import('../../steps/tune-rebuild.ts');
  const { rebuilt, result } = await withMigration(flags, cli, async (ctx) => {
    const rebuilt = flags.rebuild
      ? await rebuildTunedIndex(ctx, { lists, m, efConstruction, dropFirst: dropFirst || undefined })
      : undefined;
    return { rebuilt, result: await tuneIndex(ctx, { recall, k, queries, queryCount, side, dryRun }) };
  });
  const report = tuneReport(result);
  if (rebuilt === undefined) cli.output.result(result, report);
  else cli.output.result({ ...result, rebuilt }, `${rebuildReport(rebuilt)}\n\n${report}`);
  return result.chosen === null ? 3 : 0;
}

async function tryCandidates(flags: Flags, cli: Cli): Promise<ExitCode> {
  const { recall, k, queries, queryCount, side, sample, kind } = flags;
  const { tuneBuild } = await import('../../steps/tune-build.ts');
  const { tuneBuildReport } = await import('../../reports/tune-build-report.ts');
  const result = await withMigration(flags, cli, (ctx) =>
    tuneBuild(ctx, { recall, k, queries, queryCount, side, sample, kind }),
  );
  cli.output.result(result, tuneBuildReport(result));
  return result.tried.some(({ chosen }) => chosen !== null) ? 0 : 3;
}

function listsOf(value: unknown): number | (typeof RULES)[number] | undefined {
  const rule = RULES.find((name) => name === value);
  return rule ?? wholeNumber('lists', 1)(value);
}

function usage(message: string): ConfigError {
  return new ConfigError('usage', message, { step: 'tune', hint: 'See "reembed tune --help".' });
}
