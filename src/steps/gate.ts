import { InterruptedError, messageOf, PreflightError, ReembedError } from '../errors.ts';
import { countRows } from '../evaluate/count-rows.ts';
import type { QuerySource } from '../evaluate/load-queries.ts';
import { comparedColumns, readSides } from '../evaluate/sides.ts';
import { toldVerdict } from '../evaluate/told-verdict.ts';
import type { EvaluationResult, Verdict } from '../evaluate/types.ts';
import type { MigrationContext } from '../state/context.ts';
import { configuredQueries, evaluate } from './evaluate.ts';
import { knownVerdict } from './gate-verdict.ts';
import type { LazyProvider } from './provider.ts';

const STILL_OLD = 'The application keeps the old vectors, and knex runs no later migration of this deploy.';
const EVALUATE =
  'Run "reembed evaluate --queries <file>" (or --known-item <column>), or set REEMBED_QUERIES (or REEMBED_KNOWN_ITEM), then run the same command again.';
const DISAGREE =
  'Look at what was lost with "reembed evaluate --output report.html"; REEMBED_TOLERANCE allows more, and REEMBED_GATE=warn swaps all the same.';

/**
 * Where an evaluation's verdict stops a swap: with `required` all but a GO does, with `warn` it is told. The verdict on record counts as
 * long as it is about these models and this data; else the configured queries are asked at once. A table that nobody could search by both
 * vectors passes: there is nothing to lose.
 *
 * @throws PreflightError `gate_no_verdict`, `gate_refused`
 */
export async function consultGate(ctx: MigrationContext, provider: LazyProvider): Promise<void> {
  if (ctx.runtime.gate === 'off') return;
  const sides = await readSides(ctx, {}, undefined);
  const rows = await countRows(ctx.db, comparedColumns(sides));
  if (rows.common === 0) return;
  const known = await knownVerdict(ctx, sides, rows);
  if (known.verdict !== undefined) {
    heed(ctx, known.verdict, known.told);
    return;
  }
  const source = configuredQueries(ctx);
  if (source === undefined) {
    refuseWithout(ctx, known.told);
    return;
  }
  const result = await evaluateNow(ctx, source, provider);
  if (result !== undefined)
    heed(ctx, result.verdict, `${toldVerdict(result.verdict, result)} of ${result.queries.source}`);
}

/** Undefined where it failed and the swap goes on all the same. */
async function evaluateNow(
  ctx: MigrationContext,
  queries: QuerySource,
  provider: LazyProvider,
): Promise<EvaluationResult | undefined> {
  try {
    return await evaluate(ctx, { queries, providers: { new: () => provider.get() } });
  } catch (error) {
    if (!(error instanceof ReembedError) || error instanceof InterruptedError) throw error;
    const problem = `The new vectors could not be evaluated: ${messageOf(error)}`;
    if (ctx.runtime.gate === 'required') throw refused('gate_no_verdict', problem, error.hint ?? EVALUATE, error);
    ctx.onProgress({ kind: 'warning', message: problem });
    return undefined;
  }
}

function heed(ctx: MigrationContext, verdict: Verdict, told: string): void {
  if (verdict === 'go') {
    ctx.onProgress({ kind: 'notice', message: `The gate is open: ${told}.` });
    return;
  }
  const message = `The new vectors are not known to be good enough: ${told}.`;
  if (ctx.runtime.gate === 'required') throw refused('gate_refused', `${message} ${STILL_OLD}`, DISAGREE);
  ctx.onProgress({ kind: 'warning', message });
}

function refuseWithout(ctx: MigrationContext, why: string): void {
  if (ctx.runtime.gate === 'required') {
    const asked = 'REEMBED_GATE=required swaps on GO only';
    throw refused('gate_no_verdict', `${asked}, and ${why}. ${STILL_OLD}`, EVALUATE);
  }
  const found = 'The new vectors were checked for form, not yet for quality';
  ctx.onProgress({ kind: 'notice', message: `${found}: ${why} (REEMBED_GATE=off silences this).` });
}

function refused(code: string, message: string, hint: string, cause?: unknown): PreflightError {
  return new PreflightError(code, message, { step: 'cut-over', hint, cause });
}
