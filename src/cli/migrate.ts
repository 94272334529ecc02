import type { Ledger } from '../db/knex-ledger.ts';
import { ConfigError, InterruptedError } from '../errors.ts';

export type Direction = 'up' | 'down';

/** One migration of a run; those behind a failure are `not run`. */
export interface MigrationOutcome {
  readonly name: string;
  readonly outcome: 'done' | 'failed' | 'not run';
}

export interface MigrateOptions {
  readonly ledger: Pick<Ledger, 'list' | 'up' | 'down'>;
  readonly direction: Direction;
  /** The migration to end with, it included: its whole name, or how it begins (`006`). */
  readonly to: string | undefined;
  readonly signal: AbortSignal;
  readonly onMigration: (name: string) => void;
}

export interface MigrateResult {
  readonly direction: Direction;
  readonly migrations: readonly MigrationOutcome[];
  /** What stopped the run; undefined when all went well. */
  readonly failure: unknown;
}

/**
 * Runs pending migrations up to `to`, all of them without it; or undoes completed ones down to `to`, only the last without
 * it. One at a time through knex, in its own ledger.
 *
 * @throws ConfigError `migration_file_unknown` when `to` names none or several
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const { ledger, direction, signal, onMigration } = options;
  const names = await plannedNames(ledger, direction, options.to);
  const migrations: MigrationOutcome[] = [];
  let failure: unknown;
  for (const name of names) {
    if (failure === undefined && signal.aborted) failure = stoppedBefore(name, signal);
    if (failure !== undefined) {
      migrations.push({ name, outcome: 'not run' });
      continue;
    }
    onMigration(name);
    try {
      const ran = await (direction === 'up' ? ledger.up() : ledger.down());
      if (ran !== undefined) migrations.push({ name: ran, outcome: 'done' });
    } catch (error) {
      failure = error;
      migrations.push({ name, outcome: 'failed' });
    }
  }
  return { direction, migrations, failure };
}

async function plannedNames(
  ledger: Pick<Ledger, 'list'>,
  direction: Direction,
  to: string | undefined,
): Promise<readonly string[]> {
  const { completed, pending } = await ledger.list();
  const candidates = direction === 'up' ? pending : completed.toReversed();
  if (to === undefined) return direction === 'up' ? candidates : candidates.slice(0, 1);
  const last = findByName([...completed, ...pending], to);
  return candidates.slice(0, candidates.indexOf(last) + 1);
}

/** `006` finds `006_backfill_embedding_384.ts`; `backfill_embedding_384` finds it behind any number or timestamp. */
function findByName(names: readonly string[], wanted: string): string {
  const found = names.filter((name) => {
    const stem = name.replace(/\.[cm]?[jt]s$/, '');
    return name === wanted || stem === wanted || stem.startsWith(`${wanted}_`) || stem.endsWith(`_${wanted}`);
  });
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const what = found.length === 0 ? 'No migration is' : `${found.length} migrations are`;
  throw new ConfigError(
    'migration_file_unknown',
    `${what} named "${wanted}"; there are ${names.join(', ') || 'none'}.`,
    {
      step: 'configuration',
      hint: 'Give --to the number or the whole name of one of them.',
      context: { to: wanted, found, migrations: names },
    },
  );
}

function stoppedBefore(name: string, signal: AbortSignal): InterruptedError {
  return new InterruptedError('interrupted', `Stopped before ${name}; everything done so far is kept.`, {
    hint: 'Run the same command again: it goes on where it stopped.',
    cause: signal.reason,
  });
}
