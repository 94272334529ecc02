import { z } from 'zod';
import type { ModelReference } from '../config/types.ts';
import type { MigrationContext } from '../state/context.ts';
import { readLastEvaluation } from '../state/evaluations.ts';
import { findRecord } from '../state/resolve.ts';
import { decide, heedChecks } from './decide.ts';
import { toldVerdict } from './told-verdict.ts';
import type { Criterion, EvaluationResult, Verdict } from './types.ts';

/** What an evaluation was made with, to be compared with what is there now. */
interface Made {
  readonly oldModel: ModelReference | null;
  /** The new model's id in the state: another fingerprint has another one. */
  readonly newModelId: number | null;
  /** The adapter whose vectors took part, likewise; null where none did. */
  readonly adaptedModelId: number | null;
}

/** An evaluation as the state has it: without a text of the table or of a query. */
export async function reportOf(ctx: MigrationContext, result: EvaluationResult): Promise<unknown> {
  const { examples: _texts, ...report } = result;
  const record = await findRecord(ctx);
  const made: Made = {
    oldModel: ctx.definition.from ?? null,
    newModelId: record?.modelId ?? null,
    adaptedModelId: result.rows.adapted === 0 ? null : (record?.adaptedModelId ?? null),
  };
  const { recallAt10 } = result.comparisons.at(-1) ?? {};
  const { reranker } = result.sides.at(-1) ?? {};
  return { ...report, made, summary: toldVerdict(result.verdict, { recallAt10, reranker }) };
}

const differenceSchema = z.object({
  queries: z.number(),
  mean: z.number(),
  low: z.number(),
  high: z.number(),
  deviation: z.number(),
});
const storedSchema = z.object({
  // What came with adapters an older version did not write: it knew none.
  rows: z.object({ common: z.number(), adapted: z.number().default(0) }),
  checks: z.array(z.object({ level: z.enum(['info', 'warn', 'fail']) })),
  queries: z.object({ source: z.string() }),
  // In one order, though nothing is compared with the first side.
  sides: z.array(z.object({ reranker: z.object({ name: z.string() }).optional() })),
  comparisons: z.array(z.object({ recallAt10: differenceSchema.optional() })),
  made: z.object({
    oldModel: z.object({ provider: z.string(), model: z.string(), dimensions: z.number() }).nullable(),
    newModelId: z.number().nullable(),
    adaptedModelId: z.number().nullable().default(null),
  }),
});

/** The last evaluation of the state, as far as the gate needs it. */
export interface LastEvaluation {
  readonly at: string;
  /** As it was decided then. */
  readonly verdict: Verdict;
  readonly report: z.infer<typeof storedSchema>;
}

/** Undefined where there is none, or none that this version understands. */
export async function readEvaluation(ctx: MigrationContext): Promise<LastEvaluation | undefined> {
  const stored = await readLastEvaluation(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
  const report = storedSchema.safeParse(stored?.report);
  if (stored === undefined || !report.success) return undefined;
  return { at: stored.at, verdict: stored.verdict, report: report.data };
}

/** What the same numbers say to another tolerance, and which of them that were. */
export interface DecidedAgain {
  readonly verdict: Verdict;
  readonly recallAt10: z.infer<typeof differenceSchema> | undefined;
  readonly reranker: { readonly name: string } | undefined;
}

/** @param reranks whether the new vectors will be served behind a reranker: else what was measured behind one says nothing of them */
export function decideAgain({ report }: LastEvaluation, criterion: Criterion, reranks: boolean): DecidedAgain {
  const measured = report.comparisons.map(({ recallAt10 }, i) => ({
    recallAt10,
    reranker: report.sides[i + 1]?.reranker,
  }));
  const { recallAt10, reranker } = measured.filter((each) => reranks || each.reranker === undefined).at(-1) ?? {};
  return { verdict: heedChecks(decide(recallAt10, criterion).verdict, report.checks), recallAt10, reranker };
}
