import type { Knex } from 'knex';
import { connectionLimits } from '../config/database-settings.ts';
import { loadRuntimeSettings } from '../config/runtime.ts';
import type { MigrationDefinition, RuntimeSettings } from '../config/types.ts';
import { connectDatabase } from '../db/connect.ts';
import { InterruptedError, ReembedError } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import { cutOver } from '../steps/cut-over.ts';
import { expand } from '../steps/expand.ts';
import { fill } from '../steps/fill.ts';
import { finalize, undoFinalize } from '../steps/finalize.ts';
import { undoCutOver } from '../steps/undo-cut-over.ts';
import { undoExpand } from '../steps/undo-expand.ts';
import { undoFill } from '../steps/undo-fill.ts';
import { connectionOfKnex, knexLockOf } from './knex-connection.ts';
import { printProgress } from './print-progress.ts';

/** What a knex migration file exports. */
export interface KnexMigration {
  readonly up: (knex: Knex) => Promise<void>;
  readonly down: (knex: Knex) => Promise<void>;
  /** `transaction: false`: each step makes short transactions of its own. */
  readonly config: { readonly transaction: false };
}

type StepFunction = (ctx: MigrationContext) => Promise<unknown>;

/** 005: adds the new column, its provenance, the trigger and the state. Down removes them. */
export function addEmbedding(definition: MigrationDefinition): KnexMigration {
  return knexMigration('addEmbedding', definition, expand, undoExpand);
}

/** 006: embeds every pending row, resumably. Down clears the new vectors, after a backup when there are many. */
export function backfillEmbedding(definition: MigrationDefinition): KnexMigration {
  return knexMigration('backfillEmbedding', definition, fill, undoFill);
}

/** 007: builds the indexes and exchanges the columns in one short transaction. Down exchanges back while the old column is kept. */
export function swapEmbedding(definition: MigrationDefinition): KnexMigration {
  return knexMigration('swapEmbedding', definition, cutOver, undoCutOver);
}

/** A later migration: drops the kept old column, after a backup, once `retentionDays` are over. It has no down but that backup. */
export function dropOldEmbedding(definition: MigrationDefinition): KnexMigration {
  return knexMigration('dropOldEmbedding', definition, (ctx) => finalize(ctx, { now: false }), undoFinalize);
}

function knexMigration(
  name: string,
  definition: MigrationDefinition,
  up: StepFunction,
  down: StepFunction,
): KnexMigration {
  return {
    up: (knex) => runUnderKnex(name, knex, definition, up),
    down: (knex) => runUnderKnex(name, knex, definition, down),
    config: { transaction: false },
  };
}

async function runUnderKnex(
  name: string,
  knex: Knex,
  definition: MigrationDefinition,
  step: StepFunction,
): Promise<void> {
  const runtime: RuntimeSettings = loadRuntimeSettings();
  const db = await connectDatabase(await connectionOfKnex(knex, name, runtime.directUrl), connectionLimits(runtime));
  const stop = stopOnSignals();
  const printer = printProgress(process.stderr, runtime.log);
  try {
    const knexLock = knexLockOf(knex);
    await step({ db, definition, runtime, signal: stop.signal, onProgress: printer.onProgress, knexLock });
  } catch (error) {
    throw presentable(error);
  } finally {
    printer.endLine();
    stop.remove();
    await db.close();
  }
}

/** knex prints an error's stack and nothing else of it: for a refusal that was meant, that is the message and the next command. */
function presentable(error: unknown): unknown {
  if (error instanceof ReembedError)
    error.stack = [error.message, ...(error.hint === undefined ? [] : [error.hint])].join('\n');
  return error;
}

/** Under knex a signal becomes an error at the next safe place, so that knex frees its lock itself. */
function stopOnSignals(): { signal: AbortSignal; remove(): void } {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void =>
    controller.abort(
      new InterruptedError('interrupted', `Stopped by ${name}; everything written so far is kept.`, {
        hint: 'Run the same command again: it goes on where it stopped.',
      }),
    );
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return {
    signal: controller.signal,
    remove() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
