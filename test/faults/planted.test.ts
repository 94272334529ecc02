import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { type Lane, openLane } from './harness/lane.ts';
import { searchFor } from './harness/planted.ts';
import { PLANTED_BUGS } from './harness/planted-bugs.ts';

/** The one that is found in the least time; `npm run test:faults -- --planted` looks for all ten, and runs each without its bug as well. */
const HERE = ['a batch is written whatever its rows say now'];

describeOnServer('the harness finds a bug that was planted', () => {
  let lane: Lane;
  beforeAll(async () => {
    lane = await openLane({ rows: 1_000, version: 18, url: inject('postgresUrl') ?? '' });
  });
  afterAll(() => lane?.close());

  it.concurrent.each(PLANTED_BUGS.filter((bug) => HERE.includes(bug.name)).map((bug) => [bug.name, bug] as const))(
    '%s',
    async (_name, bug) => {
      const { found, result } = await searchFor(bug, lane);
      expect(found, JSON.stringify(result.violations.slice(0, 5))).not.toEqual([]);
    },
  );
});
