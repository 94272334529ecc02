import type { Command } from '../command.ts';
import { findDemoFiles } from '../demo/demo-files.ts';
import { adapter } from './adapter.ts';
import { backfill } from './backfill.ts';
import { backup } from './backup.ts';
import { bench } from './bench.ts';
import { demo } from './demo.ts';
import { doctor } from './doctor.ts';
import { down } from './down.ts';
import { evaluate } from './evaluate.ts';
import { finalize } from './finalize.ts';
import { init } from './init.ts';
import { keyword } from './keyword.ts';
import { model } from './model.ts';
import { pause } from './pause.ts';
import { plan } from './plan.ts';
import { restore } from './restore.ts';
import { resume } from './resume.ts';
import { rollback } from './rollback.ts';
import { route } from './route.ts';
import { search } from './search.ts';
import { status } from './status.ts';
import { swap } from './swap.ts';
import { sync } from './sync.ts';
import { tune } from './tune.ts';
import { up } from './up.ts';
import { verify } from './verify.ts';

/** The verbs in the order of `--help`; one that does not work yet is not among them. */
export const commands: readonly Command[] = [
  init,
  up,
  down,
  backfill,
  pause,
  resume,
  swap,
  sync,
  rollback,
  finalize,
  backup,
  restore,
  status,
  verify,
  search,
  evaluate,
  route,
  keyword,
  tune,
  adapter,
  plan,
  doctor,
  model,
  bench,
  // The installed package does not carry its data.
  ...(findDemoFiles() === undefined ? [] : [demo]),
];
