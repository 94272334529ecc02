import { describe, expect, it } from 'vitest';
import type { EvaluationResult, SideComparison } from '../../../src/evaluate/types.ts';
import { evaluationHtml } from '../../../src/reports/evaluation-html.ts';
import { evaluationMarkdown, evaluationText } from '../../../src/reports/evaluation-report.ts';

const METRICS = {
  recallAt1: 0.4,
  recallAt5: 0.6,
  recallAt10: 0.7,
  recallAtK: 0.7,
  reciprocalRank: 0.5,
  ndcgAt10: 0.55,
};
const DIFFERENCE = { queries: 120, mean: 0.01, low: -0.04, high: 0.06, pValue: 0.4, deviation: 0.3 };

function side(name: string): EvaluationResult['sides'][number] {
  return {
    name,
    column: `embedding_${name}`,
    model: { provider: 'hash', name: `hash/${name}`, dimensions: 16, fingerprint: 'f' },
    exact: { metrics: METRICS, latency: { p50: 1, p95: 2 } },
    reranker: undefined,
    throughIndex: undefined,
  };
}

const COMPARISON: SideComparison = {
  from: 'old',
  to: 'new',
  verdict: 'inconclusive',
  criterion: { kind: 'not-worse', limit: -0.02 },
  moreQueries: 265,
  overlap: 0.5,
  rankBiasedOverlap: 0.6,
  recallAt10: DIFFERENCE,
  reciprocalRank: DIFFERENCE,
  ndcgAt10: DIFFERENCE,
  slices: [{ slice: '<b>de</b>', queries: 60, from: 0.7, to: 0.71, recallAt10: DIFFERENCE }],
};

function result(changes: Partial<EvaluationResult> = {}): EvaluationResult {
  return {
    migration: 'segments',
    table: 'public.segments',
    at: '2026-01-01T00:00:00.000000Z',
    seed: 1,
    verdict: 'inconclusive',
    criterion: COMPARISON.criterion,
    queries: {
      source: 'q.jsonl',
      found: 150,
      used: 120,
      labelled: 120,
      repeated: 0,
      withoutRow: 30,
      unknownKeys: 2,
      ambiguous: 0,
    },
    rows: { total: 1000, sides: [1000, 600], common: 600, adapted: 0, restricted: true },
    k: 10,
    sides: [side('old'), side('new')],
    comparisons: [COMPARISON],
    examples: [{ query: '<script>alert(1)</script>\n\u001b[2J| x', change: 'lost', fromRank: 1, toRank: null }],
    checks: [],
    ...changes,
  };
}

describe('the report of an evaluation', () => {
  it('begins with the verdict, its uncertainty and how many queries would settle it', () => {
    expect(evaluationText(result()).split('\n')[0]).toBe(
      'INCONCLUSIVE: Recall@10 changes by +0.010, with 95% confidence by −0.040 to +0.060; asked was no loss of more than 0.020, and about 265 more queries (385 in all) would settle it if they come out like these.',
    );
  });

  it('says which rows and queries took part', () => {
    const text = evaluationText(result());
    expect(text).toContain('120 queries (q.jsonl), all with known answers; seed 1');
    expect(text).toContain(
      'only the 600 rows that every side has a vector for were searched (1,000 in embedding_old, 600 in embedding_new, 1,000 rows in all)',
    );
    expect(text).toContain('30 queries left out: no relevant row has a vector on every side');
    expect(text).toContain('2 relevant keys not found in the table');
  });

  it('tells a failed check before good numbers, and that unlabelled queries decide nothing', () => {
    const failed = { code: 'dimensions', level: 'fail', message: 'No.', values: {} } as const;
    const good = { ...COMPARISON, verdict: 'go' } as const;
    const text = evaluationText(result({ verdict: 'no-go', comparisons: [good], checks: [failed] }));
    expect(text).toMatch(/^NO-GO: .*, but 1 check fails\./);
    const unlabelled = { ...COMPARISON, recallAt10: undefined };
    expect(evaluationText(result({ verdict: 'no-go', comparisons: [unlabelled], checks: [failed] }))).toMatch(
      /^NO-GO: 1 check fails, and no query says/,
    );
    const { recallAt10: _, reciprocalRank: __, ndcgAt10: ___, ...rest } = COMPARISON;
    const bare = { ...rest, recallAt10: undefined, reciprocalRank: undefined, ndcgAt10: undefined, slices: [] };
    expect(evaluationText(result({ comparisons: [bare] }))).toMatch(
      /^INCONCLUSIVE: no query says which rows answer it/,
    );
  });

  it('is one page without scripts or sources elsewhere, and no query or slice becomes markup', () => {
    const html = evaluationHtml(result());
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).toContain('&lt;b&gt;de&lt;/b&gt;');
    expect(html).not.toMatch(/<script|<b>|src=|href=|url\(/);
    expect(html).toContain('<svg');
    const markdown = evaluationMarkdown(result());
    expect(markdown).toContain('&lt;script>alert(1)&lt;/script> [2J\\| x');
    expect(markdown).not.toContain('<script');
  });
});
