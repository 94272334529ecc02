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
}

/** An evaluation as the state has it: without a text of the table or of a query. */
export async function reportOf(ctx: MigrationContext, result: EvaluationResult): Promise<unknown> {
  const { examples: _texts, ...report } = result;
  const record = await findRecord(ctx);
  const made: Made = { oldModel: ctx.definition.from ?? null, newModelId: record?.modelId ?? null };
  return { ...report, made, summary: toldVerdict(result.verdict, result) };
}

const differenceSchema = z.object({
  queries: z.number(),
  mean: z.number(),
  low: z.number(),
  high: z.number(),
  deviation: z.number(),
});
const storedSchema = z.object({
  rows: z.object({ common: z.number() }),
  checks: z.array(z.object({ level: z.enum(['info', 'warn', 'fail']) })),
  comparisons: z.array(z.object({ recallAt10: differenceSchema.optional() })),
  made: z.object({
    oldModel: z.object({ provider: z.string(), model: z.string(), dimensions: z.number() }).nullable(),
    newModelId: z.number().nullable(),
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

/** What the same numbers say to another tolerance. */
export function decideAgain({ report }: LastEvaluation, criterion: Criterion): Verdict {
  return heedChecks(decide(report.comparisons.at(-1)?.recallAt10, criterion).verdict, report.checks);
}
