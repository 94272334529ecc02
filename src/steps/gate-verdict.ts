import type { ModelReference } from '../config/types.ts';
import { changeSince } from '../evaluate/change-since.ts';
import { countRows } from '../evaluate/count-rows.ts';
import { criterionOf } from '../evaluate/decide.ts';
import { comparedColumns, type EvaluatedSide } from '../evaluate/sides.ts';
import { decideAgain, type LastEvaluation, readEvaluation } from '../evaluate/stored-report.ts';
import { toldVerdict } from '../evaluate/told-verdict.ts';
import type { RowCounts, Verdict } from '../evaluate/types.ts';
import type { MigrationContext } from '../state/context.ts';

export interface KnownVerdict {
  /** Undefined where none is on record that counts. */
  readonly verdict: Verdict | undefined;
  /** What there is, or why it does not count; without a full stop. */
  readonly told: string;
  /** The queries that it is by, as the report names them. */
  readonly source?: string;
}

/** The verdict on record, by today's tolerance, as long as it is about these models and little of the data changed since. */
export async function knownVerdict(ctx: MigrationContext, sides: readonly EvaluatedSide[]): Promise<KnownVerdict> {
  const { maxChange, tolerance, minGain } = ctx.runtime.evaluation;
  const last = await readEvaluation(ctx);
  if (last === undefined) return { verdict: undefined, told: 'no evaluation is on record' };
  const rows = await countRows(ctx.db, comparedColumns(sides));
  const other = otherModel(ctx, sides, last) ?? otherAdapter(sides, last, rows);
  if (other !== undefined) {
    return { verdict: undefined, told: `the evaluation of ${last.at} was made with other models: ${other}` };
  }
  const share = await changeSince(ctx.db, sides, last, rows);
  const changed = `${percent(share)} of the rows changed since the evaluation of ${last.at}`;
  if (share > maxChange) {
    return { verdict: undefined, told: `${changed}, ${percent(maxChange)} may (REEMBED_VERDICT_MAX_CHANGE)` };
  }
  const decided = decideAgain(last, criterionOf(tolerance, minGain), ctx.runtime.reranking.enabled);
  const told = `${toldVerdict(decided.verdict, decided)}; ${changed}`;
  return { verdict: decided.verdict, told, source: last.report.queries.source };
}

/** The new model by its fingerprint in the state; the old one, which nobody recorded, by its name in the configuration. Undefined where both are. */
function otherModel(
  { definition }: MigrationContext,
  sides: readonly EvaluatedSide[],
  { report }: LastEvaluation,
): string | undefined {
  const { oldModel, newModelId } = report.made;
  const [then, now] = [oldModel ?? undefined, definition.from].map(nameOf);
  if (then !== now) return `the old one was ${then}, "from" names ${now}`;
  const isNew = sides.some(({ name, modelId }) => name === 'new' && modelId === newModelId);
  return isNew ? undefined : 'the new one has another fingerprint since';
}

/**
 * Another adapter's vectors are others, whatever their share. Where it is the same one, or only one of both looks met adapted rows, their share
 * of the rows that changed decides.
 */
function otherAdapter(
  sides: readonly EvaluatedSide[],
  { report: { made } }: LastEvaluation,
  { adapted }: RowCounts,
): string | undefined {
  if (made.adaptedModelId === null || adapted === 0) return undefined;
  const now = sides.find(({ name }) => name === 'new')?.search.target.adapted?.modelId;
  return now === made.adaptedModelId ? undefined : 'the adapted rows are of another adapter since';
}

function nameOf(model: { readonly [K in keyof ModelReference]: string | number } | undefined): string {
  return model === undefined ? 'none' : `${model.model} (${model.provider}, ${model.dimensions} dimensions)`;
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))}%`;
}
