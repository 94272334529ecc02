import { InterruptedError, messageOf, PreflightError, ReembedError } from '../errors.ts';
import { hasVectors } from '../evaluate/count-rows.ts';
import { nameOfSource } from '../evaluate/load-queries.ts';
import { comparedColumns, readSides } from '../evaluate/sides.ts';
import { toldVerdict } from '../evaluate/told-verdict.ts';
import type { Verdict } from '../evaluate/types.ts';
import type { MigrationContext } from '../state/context.ts';
import { configuredQueries, evaluate } from './evaluate.ts';
import { knownVerdict } from './gate-verdict.ts';
import type { LazyProvider } from './provider.ts';

const STILL_OLD = 'The application keeps the old vectors, and knex runs no later migration of this deploy.';
const EVALUATE =
  'Run "reembed evaluate --queries <file>" (or --known-item <column>), or set REEMBED_QUERIES (or REEMBED_KNOWN_ITEM), then run the same command again.';
const DISAGREE =
  'Look at what was lost with "reembed evaluate --output report.html"; REEMBED_TOLERANCE allows more, and REEMBED_GATE=warn swaps all the same.';
const MORE_QUERIES =
  'Run "reembed evaluate --queries <file>" with more queries, it says about how many; REEMBED_TOLERANCE allows more, and REEMBED_GATE=warn swaps all the same.';

/**
 * Where an evaluation's verdict stops a swap: with `required` all but a GO does, with `warn` it is told, and nothing that happens here stops
 * anything. The verdict on record counts as long as it is about these models and this data; else the configured queries are asked at once. A
 * table without an old vector passes: there is nothing to lose.
 *
 * @throws PreflightError `gate_no_verdict`, `gate_refused`
 */
export async function consultGate(ctx: MigrationContext, provider: LazyProvider): Promise<void> {
  if (ctx.runtime.gate === 'off') return;
  const objection = await objectionTo(ctx, provider).catch((error: unknown) => {
    if (ctx.signal?.aborted === true || error instanceof InterruptedError) throw error;
    const hint = error instanceof ReembedError ? error.hint : undefined;
    const message = `The new vectors could not be evaluated: ${messageOf(error)}`;
    return refused('gate_no_verdict', message, hint ?? EVALUATE, error);
  });
  if (objection === undefined) return;
  if (ctx.runtime.gate === 'required') throw objection;
  ctx.onProgress({ kind: 'warning', message: objection.message });
}

/** What stands against the swap; undefined where nothing does, or nobody has looked and nobody has to. */
async function objectionTo(ctx: MigrationContext, provider: LazyProvider): Promise<PreflightError | undefined> {
  const sides = await readSides(ctx, {});
  const [old] = comparedColumns(sides);
  if (old === undefined || !(await hasVectors(ctx.db, old))) return undefined;
  const known = await knownVerdict(ctx, sides);
  const source = configuredQueries(ctx);
  if (known.verdict !== undefined) {
    // Other queries than those that found no GO may find one.
    const isByThese = source === undefined || known.source === nameOfSource(source, old.target);
    if (known.verdict === 'go' || isByThese) return heed(ctx, known.verdict, known.told);
  }
  if (source === undefined) return withoutVerdict(ctx, known.told);
  const result = await evaluate(ctx, { queries: source, providers: { new: () => provider.get() } });
  const told = toldVerdict(result.verdict, { recallAt10: result.comparisons.at(-1)?.recallAt10 });
  return heed(ctx, result.verdict, `${told} of ${result.queries.source}`);
}

function heed(ctx: MigrationContext, verdict: Verdict, told: string): PreflightError | undefined {
  if (verdict === 'go') {
    ctx.onProgress({ kind: 'notice', message: `The gate is open: ${told}.` });
    return undefined;
  }
  const message = `The new vectors are not known to be good enough: ${told}.`;
  const hint = verdict === 'inconclusive' ? MORE_QUERIES : DISAGREE;
  return refused('gate_refused', isRequired(ctx) ? `${message} ${STILL_OLD}` : message, hint);
}

function withoutVerdict(ctx: MigrationContext, why: string): PreflightError | undefined {
  if (isRequired(ctx)) {
    const asked = 'REEMBED_GATE=required swaps on GO only';
    return refused('gate_no_verdict', `${asked}, and ${why}. ${STILL_OLD}`, EVALUATE);
  }
  const found = 'The new vectors were checked for form, not yet for quality';
  ctx.onProgress({ kind: 'notice', message: `${found}: ${why} (REEMBED_GATE=off silences this).` });
  return undefined;
}

function isRequired({ runtime }: MigrationContext): boolean {
  return runtime.gate === 'required';
}

function refused(code: string, message: string, hint: string, cause?: unknown): PreflightError {
  return new PreflightError(code, message, { step: 'cut-over', hint, cause });
}
