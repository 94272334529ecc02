import { type Running, startProgram } from '../../helpers/fault-process.ts';
import type { BuiltProject } from './build-project.ts';
import type { Phase } from './watch.ts';

/** A step of the chain by the command that a user runs for it, again and again until it succeeds. */
export interface Stage {
  readonly name: string;
  readonly args: readonly string[];
  /** Where in it faults can be thrown. */
  readonly phases: readonly Phase[];
}

/** By name: a command whose end nobody saw may have done its work, and again it must not do the next one's. */
const knex = (name: string, command: readonly string[], phases: readonly Phase[]): Stage => ({
  name,
  args: ['node_modules/knex/bin/cli.js', ...command],
  phases,
});
const reembed = (name: string, args: readonly string[], phases: readonly Phase[]): Stage => ({
  name,
  args: ['cli.js', ...args],
  phases,
});

export const EXPAND = knex('005', ['migrate:up', '005_add_embedding_384.js'], ['expand']);
export const BACKFILL = reembed('backfill', ['backfill'], ['fill']);
export const FILL = knex('006', ['migrate:up', '006_backfill_embedding_384.js'], ['fill']);
export const SWAP = knex('007', ['migrate:up', '007_swap_embedding.js'], ['build', 'exchange', 'finish']);
export const ROLLBACK = knex('007 down', ['migrate:down', '007_swap_embedding.js'], ['rollback']);
export const FINALIZE = reembed('finalize', ['finalize', '--now'], ['finalize']);
export const SYNC = reembed('sync', ['sync', '--once'], []);
export const UNLOCK = knex('unlock', ['migrate:unlock'], []);

export function startStage(project: BuiltProject, stage: Stage, env: Readonly<Record<string, string>>): Running {
  return startProgram(stage.args, { cwd: project.directory, env });
}
