import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MigrationPlan } from '../../src/plan/types.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { ROOT, runCli } from './run-cli.ts';

const ROWS = 300;
const MIGRATION = {
  id: 'to-openai',
  table: 'segments',
  text: 'text',
  column: 'embedding',
  provider: 'openai',
  model: 'text-embedding-3-small',
  dimensions: 1536,
};

let chain: Chain;
let project: string;
beforeAll(async () => {
  chain = await openChain();
  await makeSegments(chain.db, { rows: ROWS });
  project = await mkdtemp(join(tmpdir(), 'reembed-plan-'));
  await writeFile(join(project, 'reembed.config.mjs'), `export default ${JSON.stringify(MIGRATION)};`);
});
afterAll(async () => {
  await chain.close();
  await rm(project, { recursive: true });
});

function plan(...args: readonly string[]) {
  return runCli(['plan', ...args], { cwd: project, env: { DATABASE_URL: chain.database.url } });
}

describe('reembed plan', () => {
  test('counts tokens and cost of a paid model without its key, as one JSON document', async () => {
    const { code, stdout } = await plan('--json', '--price', '2');
    const made = JSON.parse(stdout) as MigrationPlan;
    expect(code).toBe(0);
    expect(made).toMatchObject({
      rows: ROWS,
      texts: { texts: { value: ROWS, basis: 'counted' }, tokens: { basis: 'counted' } },
      requests: { value: 1 },
      cost: { price: { usdPerMillionTokens: 2, source: '--price' } },
    });
    expect(made.cost.usd?.value).toBeCloseTo(((made.texts?.tokens.value ?? 0) * 2) / 1e6, 12);
  });

  test('exits with 1 over the budget, which is printed, in Markdown too', async () => {
    const { code, stdout } = await plan('--markdown', '--budget', '0.0001');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^# Plan of to-openai$/m);
    expect(stdout).toMatch(/^\| Cost .*OVER BUDGET/m);
    expect(stdout).toContain('- Over budget: about $0.0');
  });

  test('prints a checklist for a change ticket', async () => {
    const { code, stdout } = await plan('--checklist', '--budget', '1');
    expect(code).toBe(0);
    expect(stdout).toContain('# Change: public.segments.embedding from vector(16) to vector(1536)');
    expect(stdout.match(/^- \[ \] /gm)?.length).toBeGreaterThan(10);
  });
});

describe('--roi', () => {
  test('of the table itself takes documents and tokens from it', async () => {
    const gain = ['--queries-per-month', '1000', '--recall-before', '0.5', '--recall-after', '0.6'];
    const { code, stdout } = await plan('--roi', ...gain, '--value-per-query', '1', '--hours', '1', '--rate', '100');
    expect(code).toBe(0);
    expect(stdout).toContain(`Does it pay? ${ROWS} documents`);
    expect(stdout).toContain('tokens by a sample of the table, at $0.02 a million');
    expect(stdout).toMatch(/Break-even +1 months, in month 2/);
  });
});

/** The shell blocks of a page that show what is printed: command and output, up to a line of `…`. */
function examples(page: string): [string, string][] {
  const blocks = [
    ...readFileSync(join(ROOT, page), 'utf8').matchAll(/```console\n\$ npx reembed (.*)\n([^$`][^`]*)```/g),
  ];
  return blocks.map(([, command = '', output = '']) => [command, output.replace(/…\n$/, '')]);
}

describe('docs/costs.md', () => {
  const shown = examples('docs/costs.md');

  test('has examples that show what they print', () => expect(shown.length).toBe(2));

  test.each(shown)('%s prints what the page shows', async (command, output) => {
    const { code, stdout } = await runCli(command.split(' '), { cwd: tmpdir() });
    expect(code).toBe(0);
    expect(stdout.slice(0, output.length)).toBe(output);
    expect(stdout).toContain('Assumptions');
  });
});
