import { knexEnvironment, loadRuntimeSettings } from '../config/runtime.ts';
import { type Ledger, openLedger } from '../db/knex-ledger.ts';
import { BusyError } from '../errors.ts';
import { connectionOfKnex } from '../migrations/knex-connection.ts';
import { releaseStaleLock, type StaleLockOptions } from '../migrations/release-stale-lock.ts';
import type { Cli, ExitCode } from './command.ts';
import { exitCodeOf } from './exit-code.ts';
import type { LedgerFlags } from './ledger-flags.ts';
import { type Direction, type MigrateResult, migrate } from './migrate.ts';
import type { Output } from './output.ts';

/** `up` and `down`: the same, in two directions. */
export async function runLedger(direction: Direction, flags: LedgerFlags, cli: Cli): Promise<ExitCode> {
  const { output, signal, cwd } = cli;
  // Wrong variables are told before a knexfile connects anywhere.
  const { stateSchema } = loadRuntimeSettings();
  const ledger = await openLedger({
    cwd,
    file: flags.knexfile,
    environment: flags.env ?? knexEnvironment(),
    onMessage: (message) => {
      // A failure is printed once, and by us: with its hint, and with what was done before it.
      if (!/^(migration (file|failed)|Can't take lock)/.test(message)) output.note(`knex: ${message}`);
    },
  });
  try {
    const onNotice = (message: string): void => output.note(message);
    await freeStaleLock(ledger, `reembed ${direction}`, { stateSchema, onNotice });
    const onMigration = (name: string): void => output.note(`${name} ${direction}`);
    const result = await migrate({ ledger, direction, to: flags.to, signal, onMigration });
    if (result.failure !== undefined) return fail(result, output);
    output.result({ direction, migrations: result.migrations }, describe(result));
    return 0;
  } finally {
    await ledger.close();
  }
}

/** Also for knexfiles that do not call `releaseStaleLock` themselves. @throws BusyError when the holder is alive */
async function freeStaleLock(
  { knex, tableName, schemaName }: Ledger,
  command: string,
  options: Pick<StaleLockOptions, 'stateSchema' | 'onNotice'>,
): Promise<void> {
  const connection = await connectionOfKnex(knex, command);
  const state = await releaseStaleLock({ connection, tableName, schemaName, ...options });
  if (state === 'held') {
    throw new BusyError('migrations_locked', `Another process is running the migrations of ${tableName}.`, {
      hint: 'Wait for it to end; "reembed status" shows who it is.',
    });
  }
  if (state === 'unknown-holder') {
    throw new BusyError('migrations_locked', `${tableName}_lock is set, by no process that reembed knows.`, {
      hint: 'When no migration is running anywhere, free it with "npx knex migrate:unlock".',
    });
  }
}

/** A chain that broke tells of every migration: what is done stays done, what comes behind it was not run. */
function fail({ migrations, failure }: MigrateResult, output: Output): ExitCode {
  for (const { name, outcome } of migrations) output.note(`${name}: ${outcome}`);
  output.failure(failure, { migrations });
  return exitCodeOf(failure);
}

function describe({ direction, migrations }: MigrateResult): string {
  if (migrations.length === 0) return `Nothing to do: no migration is ${direction === 'up' ? 'pending' : 'completed'}.`;
  return migrations.map(({ name }) => `${name} ${direction === 'up' ? 'done' : 'undone'}`).join('\n');
}
