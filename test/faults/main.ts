import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { killStarted } from '../helpers/fault-process.ts';
import type { PostgresVersion } from '../helpers/local-server.ts';
import { buildProject } from './harness/build-project.ts';
import { kindNamed } from './harness/kinds.ts';
import { type Lane, openLane } from './harness/lane.ts';
import { mayMount } from './harness/own-server.ts';
import { planRun } from './harness/plan-run.ts';
import { describeRun, reportText } from './harness/report.ts';
import { type RunResult, runPlan } from './harness/run.ts';

const USAGE = `npm run test:faults -- [options]
  --runs N        runs (50)
  --seed S        of the first run; the others follow (1)
  --pg 15|18      the server (18)
  --only KIND     this kind of fault only; may be repeated
  --lanes N       runs at the same time, each on a server of its own (3)
  --rows N        rows of the table (2000)
  --hold SECONDS  how long a lock holder holds (60)
  --json FILE     writes every run
  --planted       plants ten bugs instead, each of which must be found
  --verbose       also the seconds of each command
  --markdown      prints nothing but the table`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    pg: { type: 'string', default: '18' },
    only: { type: 'string', multiple: true },
    lanes: { type: 'string', default: '3' },
    rows: { type: 'string', default: '2000' },
    hold: { type: 'string', default: '60' },
    json: { type: 'string' },
    planted: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
/** Their servers are nobody's children: whoever stops this run stops them too. */
const lanes = new Set<Lane>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killStarted();
    void Promise.allSettled([...lanes].map((lane) => lane.close())).then(() => process.exit(130));
  });
}
const say = (line: string): void => void (values.markdown ? undefined : console.error(line));
if (values.help) console.log(USAGE);
else process.exitCode = await (values.planted ? runPlanted() : runSeeds());

async function runSeeds(): Promise<number> {
  const [first, count] = [Number(values.seed), Number(values.runs)];
  const version = Number(values.pg) as PostgresVersion;
  const only = values.only?.map(kindNamed);
  const possible = (kind: { readonly needs?: string }): boolean => kind.needs !== 'root' || mayMount();
  const began = new Date();
  const project = await buildProject();
  const results: RunResult[] = [];
  const seeds = Array.from({ length: count }, (_, i) => first + i);
  async function work(): Promise<void> {
    const lane = await openLane({ rows: Number(values.rows), version });
    lanes.add(lane);
    try {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const plan = planRun(seed, { possible, ...(only === undefined ? {} : { only }) });
        const result = await runPlan({ project, lane, plan, holdMs: Number(values.hold) * 1000 });
        results.push(result);
        say(describeRun(result));
        if (values.verbose) say(`  ${result.timings.join('; ')}`);
        if (result.violations.length > 0) report(result);
      }
    } finally {
      await lane.close();
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(Number(values.lanes), count) }, work));
  } finally {
    await project.remove();
  }
  const about = [
    `${began.toISOString().slice(0, 10)}, Postgres ${version}, Node ${process.versions.node}, seeds ${first} to ${first + count - 1}, ` +
      `${Math.round((Date.now() - began.getTime()) / 1000)} s.`,
  ];
  console.log(reportText(results, about));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 1)}\n`);
  return results.every((result) => result.violations.length === 0) ? 0 : 1;
}

/** What was found, and the command that does it again. */
function report({ plan, violations, remarks }: RunResult): void {
  for (const { count, what } of violations.slice(0, 10)) console.error(`  ${count}: ${what}`);
  for (const remark of remarks) console.error(`  remark: ${remark}`);
  const only = (values.only ?? []).map((kind) => ` --only ${JSON.stringify(kind)}`).join('');
  console.error(
    `  again: npm run test:faults -- --runs 1 --seed ${plan.seed} --pg ${values.pg} --rows ${values.rows}${only}`,
  );
}

async function runPlanted(): Promise<number> {
  const { findPlanted } = await import('./harness/planted.ts');
  const lane = await openLane({ rows: 1_000, version: Number(values.pg) as PostgresVersion });
  lanes.add(lane);
  try {
    return await findPlanted(lane, say);
  } finally {
    await lane.close();
  }
}
