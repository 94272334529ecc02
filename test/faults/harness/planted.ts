import { buildProject } from './build-project.ts';
import type { Lane } from './lane.ts';
import { readPlan } from './plan-run.ts';
import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts';
import { type RunResult, runPlan } from './run.ts';

export interface Search {
  /** What was reported of the kind that this bug must show; empty when it got away. */
  readonly found: readonly string[];
  readonly result: RunResult;
}

/** Plants one bug into a build, runs what must find it, and gives what was found. */
export async function searchFor(bug: PlantedBug, lane: Lane): Promise<Search> {
  const project = await buildProject([bug.patch]);
  try {
    const result = await runPlan({ project, lane, plan: readPlan(bug.run), holdMs: 5_000, pauseMs: 30 });
    const found = result.violations.filter(({ count, what }) => count === bug.found && bug.by.test(what));
    return { found: found.map(({ what }) => what), result };
  } finally {
    await project.remove();
  }
}

/** All of them, and each run once more without its bug. @returns the exit code */
export async function findPlanted(lane: Lane, say: (line: string) => void): Promise<number> {
  const healthy = await buildProject();
  let failed = 0;
  console.log('| bug | found by | without it |\n| --- | -------- | ---------- |');
  try {
    for (const bug of PLANTED_BUGS) {
      const { found, result } = await searchFor(bug, lane);
      const plain = await runPlan({ project: healthy, lane, plan: readPlan(bug.run), holdMs: 5_000, pauseMs: 30 });
      if (found.length === 0 || plain.violations.length > 0) failed += 1;
      const others = [...result.violations, ...plain.violations].map(({ count, what }) => `${count}: ${what}`);
      if (found.length === 0) say(`  ${bug.name} got away; ${others.slice(0, 5).join('; ') || 'nothing was found'}`);
      const first = found[0]?.replace(/\s+/g, ' ').slice(0, 90) ?? 'NOT FOUND';
      say(`  ${bug.name}: ${result.timings.join('; ')}`);
      console.log(`| ${bug.name} | ${found.length} × ${first} | ${plain.violations.length} |`);
    }
  } finally {
    await healthy.remove();
  }
  return failed === 0 ? 0 : 1;
}
