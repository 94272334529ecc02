import { describe, expect, it } from 'vitest';
import { reckonRoi } from '../../../src/plan/roi.ts';
import { estimateText } from '../../../src/reports/estimate-text.ts';
import { planChecklist } from '../../../src/reports/plan-checklist.ts';
import { planMarkdown, planText } from '../../../src/reports/plan-report.ts';
import { roiMarkdown, roiText } from '../../../src/reports/roi-report.ts';
import { planOf, sampleOf } from '../plan/plan-facts.ts';

const PRICE = { usdPerMillionTokens: 0.02, source: 'https://example.org/pricing, 2026-07' };
const paid = planOf(
  {},
  { model: 'text-embedding-3-small', provider: 'openai', dimensions: 1536 },
  { sample: sampleOf(), price: PRICE, budgetUsd: 0.1 },
);

describe('a number', () => {
  it('says how it was come by', () => {
    const shown = (value: number): string => `${value} rows`;
    expect(estimateText({ value: 7, low: 7, high: 7, basis: 'counted' }, shown)).toBe('7 rows (counted)');
    expect(estimateText({ value: 7, low: 5, high: 9, basis: 'sampled' }, shown)).toBe(
      'about 7 rows (sampled: 5 rows to 9 rows)',
    );
  });
});

describe('a plan as text', () => {
  it('has tokens, requests, cost with its price, and the budget that it is over', () => {
    const text = planText(paid, { sql: false });
    expect(text).toMatch(/^ {2}Tokens +about 10,000,000 tokens \(sampled\), 100 a text$/m);
    expect(text).toMatch(/^ {2}Requests +about 100 requests/m);
    expect(text).toMatch(
      /^ {2}Cost +about \$0\.20 \(sampled\), \$0\.02 a million tokens, budget \$0\.10: OVER BUDGET$/m,
    );
    expect(text).toContain(PRICE.source);
    expect(text).not.toContain('ALTER TABLE');
    expect(text.indexOf('Over budget:')).toBeLessThan(text.indexOf('\nWork\n'));
  });

  it('has what earlier runs have spent of the budget', () => {
    const begun = planOf(
      {},
      { model: 'text-embedding-3-small', provider: 'openai', dimensions: 1536 },
      { sample: sampleOf(), price: PRICE, budgetUsd: 0.5, spent: { usd: 0.4, unpricedTokens: 0 } },
    );
    expect(planText(begun, { sql: false })).toMatch(
      /^ {2}Cost +about \$0\.20 \(sampled\), \$0\.02 a million tokens, \$0\.40 are spent already, budget \$0\.50: OVER BUDGET$/m,
    );
    expect(planChecklist(begun)).toContain('**Budget**: about $0.20 beside the $0.40 that are spent;');
  });

  it('says what it does not know', () => {
    const text = planText(planOf(), { sql: false });
    expect(text).toContain('not known: none was looked at');
    expect(text).toContain('not measured; add --probe');
    expect(text).toContain('the model is not here');
  });

  it('has the statements when asked', () => {
    expect(planText(paid, { sql: true })).toContain('ADD COLUMN "embedding_1536"');
  });
});

describe('a plan as Markdown', () => {
  it('has a table for each part, and the SQL in fences when asked', () => {
    const markdown = planMarkdown(paid, { sql: true });
    for (const title of ['What', 'Work', 'Time', 'Disk', 'Memory', 'Order of deployment', 'Assumptions'])
      expect(markdown).toContain(`\n## ${title}\n`);
    expect(markdown).toMatch(/^\| Requests +\| about 100 requests/m);
    expect(markdown).toContain('```sql\nALTER TABLE');
    expect(planMarkdown(paid, { sql: false })).not.toContain('```');
  });
});

describe('a checklist', () => {
  it('names backup, environment, staging, window, monitoring, verify, and how long the old vectors are kept', () => {
    const list = planChecklist(paid);
    const names = [...list.matchAll(/^- \[ \] \*\*([^*]+)\*\*/gm)].map((match) => match[1]);
    expect(names).toEqual(
      expect.arrayContaining(['Backup', 'Environment', 'Staging', 'Window', 'Monitoring', 'Verify']),
    );
    expect(list).toContain('**Keep the old vectors** for 7 days');
    expect(list).toContain('- [ ] Deploy N ships 005_add_embedding_1536');
  });

  it('names the backup as the way back where 007 drops the old column', () => {
    const list = planChecklist(planOf({}, { oldColumn: 'drop' }));
    expect(list).toContain('the backup that 007 wrote');
    expect(list).not.toContain('finalize');
  });
});

describe('whether it pays', () => {
  const report = reckonRoi({
    documents: 1000,
    apiUsd: 5,
    apiFrom: 'a test',
    computeUsd: 0,
    downtimeUsd: 0,
    hours: 1,
    hourlyRateUsd: 95,
    queriesPerMonth: 1000,
    recallBefore: 0.5,
    recallAfter: 0.6,
    valuePerQueryUsd: 0.5,
  });

  it('is told with its assumptions, as text and as Markdown', () => {
    for (const text of [roiText(report), roiMarkdown(report)]) {
      expect(text).toMatch(/Break-even[ |]+2 months, in month 2/);
      expect(text).toContain('$100.00');
      for (const assumption of report.assumptions) expect(text).toContain(assumption);
    }
  });
});
