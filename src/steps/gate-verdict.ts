import { changeSince } from '../evaluate/change-since.ts';
import { criterionOf } from '../evaluate/decide.ts';
import type { EvaluatedSide } from '../evaluate/sides.ts';
import { decideAgain, type LastEvaluation, readEvaluation } from '../evaluate/stored-report.ts';
import { toldVerdict } from '../evaluate/told-verdict.ts';
import type { RowCounts, Verdict } from '../evaluate/types.ts';
import type { MigrationContext } from '../state/context.ts';

export interface KnownVerdict {
  /** Undefined where none is on record that counts. */
  readonly verdict: Verdict | undefined;
  /** What there is, or why it does not count; without a full stop. */
  readonly told: string;
}

/** The verdict on record, by today's tolerance, as long as it is about these models and little of the data changed since. */
export async function knownVerdict(
  ctx: MigrationContext,
  sides: readonly EvaluatedSide[],
  rows: RowCounts,
): Promise<KnownVerdict> {
  const { maxChange, tolerance, minGain } = ctx.runtime.evaluation;
  const last = await readEvaluation(ctx);
  if (last === undefined) return { verdict: undefined, told: 'no evaluation is on record' };
  if (!isOfTheseModels(ctx, sides, last)) {
    return { verdict: undefined, told: `the evaluation of ${last.at} was made with other models` };
  }
  const share = await changeSince(ctx.db, sides, last, rows);
  const changed = `${percent(share)} of the rows changed since the evaluation of ${last.at}`;
  if (share > maxChange) {
    return { verdict: undefined, told: `${changed}, ${percent(maxChange)} may (REEMBED_VERDICT_MAX_CHANGE)` };
  }
  const verdict = decideAgain(last, criterionOf(tolerance, minGain));
  return { verdict, told: `${toldVerdict(verdict, last.report)}; ${changed}` };
}

/** The new model by its fingerprint in the state; the old one, which nobody recorded, by its name in the configuration. */
function isOfTheseModels(
  { definition }: MigrationContext,
  sides: readonly EvaluatedSide[],
  { report }: LastEvaluation,
): boolean {
  const { oldModel, newModelId } = report.made;
  const { from } = definition;
  const sameOld =
    oldModel?.provider === from?.provider &&
    oldModel?.model === from?.model &&
    oldModel?.dimensions === from?.dimensions;
  return sameOld && sides.some(({ name, modelId }) => name === 'new' && modelId === newModelId);
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))}%`;
}
