import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { describeOnServer } from '../helpers/fault-bed.ts';
import type { PostgresVersion } from '../helpers/local-server.ts';
import { KINDS } from './harness/kinds.ts';
import { type Lane, openLane } from './harness/lane.ts';
import { mayMount } from './harness/own-server.ts';
import { readPlan, type WrittenRun } from './harness/plan-run.ts';
import { describeRun } from './harness/report.ts';
import { runPlan } from './harness/run.ts';
import { SHORT_RUNS } from './harness/short-runs.ts';

const VERSION: PostgresVersion = process.env.REEMBED_TEST_PG === '15' ? 15 : 18;
const ROWS = 1_000;
const project = { directory: inject('builtProject'), remove: async () => undefined };

/** The seeds are fixed; when a fault hits is not, and one that comes too late is not a failure. */
describeOnServer('an application and its vectors come through', () => {
  let shared: Lane;
  beforeAll(async () => {
    shared = await openLane({ rows: ROWS, version: VERSION, url: inject('postgresUrl') ?? '' });
  });
  afterAll(() => shared?.close());

  for (const run of VERSION === 18 ? SHORT_RUNS : SHORT_RUNS.slice(0, 2)) {
    const test = run.smallDisk === true && !mayMount() ? it.skip : it.concurrent;
    test(`${nameOf(run)}${run.smallDisk === true && !mayMount() ? ' (mounting a small file system needs root)' : ''}`, async () => {
      const lane = run.ownServer === true ? await openLane({ rows: ROWS, version: VERSION }) : shared;
      try {
        const result = await runPlan({ project, lane, plan: readPlan(run), holdMs: 5_000 });
        console.info(describeRun(result));
        expect(result.violations, result.remarks.join('\n')).toEqual([]);
      } finally {
        if (lane !== shared) await lane.close();
      }
    });
  }
});

describe('the short runs', () => {
  it('throw every kind of fault there is', () => {
    const thrown = SHORT_RUNS.flatMap((run) => readPlan(run).stages.flatMap(({ faults }) => faults));
    expect(new Set(thrown.map(({ kind }) => kind.name))).toEqual(new Set(KINDS.map((kind) => kind.name)));
  });
});

function nameOf({ stages }: WrittenRun): string {
  return stages.flatMap(([, ...faults]) => faults).join(', ');
}
