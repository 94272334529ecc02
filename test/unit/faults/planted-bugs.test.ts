import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyPatch } from '../../faults/harness/build-project.ts';
import { readPlan } from '../../faults/harness/plan-run.ts';
import { PLANTED_BUGS } from '../../faults/harness/planted-bugs.ts';

const ROOT = join(import.meta.dirname, '../../..');

describe('the ten planted bugs', () => {
  it('are ten different ones', () => {
    expect(new Set(PLANTED_BUGS.map((bug) => bug.name)).size).toBe(10);
    expect(new Set(PLANTED_BUGS.map((bug) => bug.patch.find)).size).toBe(10);
  });

  it.each(PLANTED_BUGS.map((bug) => [bug.name, bug] as const))('"%s" still has its place in the sources', (_, bug) => {
    const source = readFileSync(join(ROOT, bug.patch.file), 'utf8');
    expect(applyPatch(source, bug.patch)).not.toBe(source);
    expect(readPlan(bug.run).stages.length).toBeGreaterThan(1);
  });
});
