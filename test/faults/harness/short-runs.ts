import { EXPAND, FILL, FINALIZE, ROLLBACK, SWAP } from './commands.ts';
import type { WrittenRun } from './plan-run.ts';

/** Every kind of fault once, in as few runs as it takes. The first two are also run on the other server. */
export const SHORT_RUNS: readonly WrittenRun[] = [
  {
    seed: 1,
    habits: 'aware',
    stages: [
      [EXPAND, 'kill -9 in expand'],
      [FILL, 'SIGSTOP past the lease in fill'],
      [SWAP, 'COMMIT answer of the exchange lost in build'],
    ],
  },
  {
    seed: 2,
    habits: 'text-only',
    stages: [
      [EXPAND],
      [FILL, 'connection reset in fill'],
      [SWAP, 'lock holder at the swap in build'],
      [ROLLBACK, 'kill -9 in rollback'],
      [SWAP],
      [FINALIZE, 'COMMIT answer lost in finalize'],
    ],
  },
  {
    seed: 3,
    habits: 'text-only',
    stages: [
      [EXPAND, 'pg_terminate_backend in expand'],
      [FILL, 'deadlock in fill'],
      [SWAP, 'orphaned index build in build', 'cancelled index build in build'],
    ],
  },
  {
    seed: 4,
    habits: 'strict',
    stages: [
      [EXPAND, 'clock jumped in expand'],
      [FILL, 'statement timeout in fill'],
      [SWAP, 'SIGTERM in build'],
    ],
  },
  {
    seed: 5,
    habits: 'aware',
    remote: true,
    stages: [
      [EXPAND],
      [FILL, 'provider in fill', 'provider and kill -9 in fill', 'misordered answers in fill'],
      [SWAP],
    ],
  },
  {
    seed: 6,
    habits: 'aware',
    ownServer: true,
    stages: [
      [EXPAND],
      [FILL, 'pg_ctl restart -m immediate in fill'],
      [SWAP, 'pg_ctl restart -m immediate in exchange'],
    ],
  },
  {
    seed: 7,
    habits: 'text-only',
    stages: [
      [EXPAND, 'two workers in expand'],
      [FILL, 'eight workers in fill'],
      [SWAP, 'half-open in finish'],
    ],
  },
  {
    seed: 8,
    habits: 'aware',
    stages: [
      [EXPAND, 'pg_cancel_backend in expand'],
      [FILL, 'write answer lost in fill', 'blackhole in fill'],
      [SWAP, 'COMMIT of the exchange lost in build'],
    ],
  },
  {
    seed: 9,
    habits: 'aware',
    smallDisk: true,
    stages: [[EXPAND], [FILL, 'disk full in fill'], [SWAP, 'disk full in build']],
  },
];
