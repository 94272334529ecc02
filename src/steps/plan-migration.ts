import { realReference } from '../adapters/adapted-reference.ts';
import { openRegistry } from '../adapters/registry.ts';
import { isRemote } from '../config/provider-names.ts';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import { messageOf, PreflightError } from '../errors.ts';
import { retentionText } from '../inspect/adapted-text.ts';
import { readFacts, type TableFacts } from '../inspect/facts.ts';
import { findLocalModel, readModelMemory } from '../inspect/local-model-files.ts';
import { probeModel } from '../inspect/probe-model.ts';
import { countTokens, type DrawnText, drawTexts } from '../inspect/sample-texts.ts';
import { openTokenCounter } from '../inspect/token-counter.ts';
import type { ModelMemory, PlanAdapter, PlanPace, ProbeResult, TextSample } from '../plan/inputs.ts';
import { makePlan } from '../plan/make-plan.ts';
import { choosePrice } from '../plan/plan-cost.ts';
import { textsPerRequest } from '../plan/plan-requests.ts';
import type { MigrationPlan } from '../plan/types.ts';
import { providerOptions } from '../providers/provider-options.ts';
import { countCached } from '../providers/vector-cache/count-cached.ts';
import { provenanceOf } from '../sql/target.ts';
import { type TextSource, textColumns } from '../sql/text-source.ts';
import type { MigrationContext } from '../state/context.ts';
import { readTextOnce } from '../state/read-text.ts';
import { findRecord } from '../state/resolve.ts';
import { readUsage } from '../state/usage.ts';
import { adapterInUse } from './choose-adapter.ts';

export interface PlanMigrationOptions {
  /** Embeds some texts to measure how long it takes; a service is paid for them (false). */
  readonly probe?: boolean;
  /** US dollars a million tokens, before `EMBEDDING_PRICE` and the price table. */
  readonly price?: number | undefined;
  /** US dollars that the migration may cost in all its runs, before `REEMBED_BUDGET_USD`. */
  readonly budgetUsd?: number | undefined;
}

/**
 * Looks at the table, a sample of its texts and the model's files, and plans the migration; changes nothing.
 *
 * @throws PreflightError `extension_missing`, `table_missing`, `select_denied`, as `readText`; with `probe` also as `createProvider`
 */
export async function planMigration(ctx: MigrationContext, options: PlanMigrationOptions = {}): Promise<MigrationPlan> {
  try {
    return await planFromFacts(await withRealModel(ctx), options, await planAdapter(ctx));
  } catch (cause) {
    if (sqlStateOf(cause) !== SQLSTATE.insufficientPrivilege) throw cause;
    throw new PreflightError(
      'select_denied',
      `A plan reads the table and reembed's state, and this role may not: ${messageOf(cause)}.`,
      { step: 'inspect', hint: 'Run "reembed doctor", which names the rights that are missing.', cause },
    );
  }
}

/** Behind the provider `adapted` stands the model that embeds what has no old vector, and all texts later: its tokens and its price count. */
async function withRealModel(ctx: MigrationContext): Promise<MigrationContext> {
  const { provider, model } = await realReference(ctx.definition, ctx.runtime.adapters);
  return { ...ctx, definition: { ...ctx.definition, provider, model } };
}

async function planFromFacts(
  ctx: MigrationContext,
  options: PlanMigrationOptions,
  adapter: PlanAdapter | undefined,
): Promise<MigrationPlan> {
  const { definition, runtime } = ctx;
  const facts = await readFacts(ctx);
  const record = await findRecord(ctx);
  const swapped = record?.active === 'new';
  const text = await readTextOnce(ctx, facts.table, record);
  const drawn = await drawFrom(ctx, facts, swapped ? definition.column : definition.target, text);
  const sample = drawn && (await describeSample(ctx, drawn));
  return makePlan(facts, definition, runtime.stateSchema, {
    text,
    sample,
    probe: options.probe === true && sample && drawn ? await probe(ctx, drawn, sample) : undefined,
    model: await localMemory(ctx),
    price: choosePrice(definition, { flag: options.price, env: runtime.remote.usdPerMillionTokens }),
    budgetUsd: options.budgetUsd ?? runtime.remote.budgetUsd,
    spent: await readUsage(ctx),
    pace: runtime satisfies PlanPace,
    adapter,
    swapped,
  });
}

/** The projection that 006 would be run with. Which one `auto` is depends on what the table holds by then. */
async function planAdapter(ctx: MigrationContext): Promise<PlanAdapter | undefined> {
  const use = adapterInUse(ctx);
  if (use === undefined) return undefined;
  if (use === 'auto') return { name: 'the best projection that fits', quality: undefined };
  const { id, metrics } = await openRegistry(ctx.runtime.adapters.dir).get(use);
  return { name: `adapted:${id}`, quality: retentionText(metrics?.recallAt10) };
}

/** Undefined where there is nothing to draw from; the doctor says what stands in the way. */
async function drawFrom(
  { db }: MigrationContext,
  { table }: TableFacts,
  filled: string,
  text: TextSource,
): Promise<DrawnText[] | undefined> {
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  if (table.kind !== 'r' || !textColumns(text).every(has)) return undefined;
  const { model } = provenanceOf(filled);
  const begun = has(model);
  return drawTexts(db, { schema: table.schema, table: table.name, key: table.key, text }, begun ? model : undefined);
}

async function describeSample(
  { definition, runtime }: MigrationContext,
  drawn: readonly DrawnText[],
): Promise<TextSample> {
  const sample = await countTokens(drawn, await openTokenCounter(definition, runtime));
  if (!isRemote(definition.provider) || runtime.remote.vectorCache === 'off') return sample;
  // Of very long texts only the beginning was drawn, so that they count as not kept.
  return { ...sample, cachedTexts: await countCached(runtime.cacheDir, definition, textsOf(drawn)) };
}

async function probe(
  { definition, runtime, signal, onProgress }: MigrationContext,
  drawn: readonly DrawnText[],
  { texts }: TextSample,
): Promise<ProbeResult | undefined> {
  const withText = texts.filter(({ bytes }) => bytes > 0);
  const mean =
    withText.reduce((sum, { tokens, bytes }) => sum + (tokens ?? bytes / 2), 0) / Math.max(1, withText.length);
  return probeModel(definition, textsOf(drawn), {
    ...providerOptions(runtime),
    onNotice: (message) => onProgress({ kind: 'notice', message }),
    textsPerRequest: textsPerRequest(definition.provider, runtime, mean),
    signal,
  });
}

async function localMemory({ definition, runtime }: MigrationContext): Promise<ModelMemory | undefined> {
  if (definition.provider !== 'local') return undefined;
  const found = await findLocalModel(definition.model, runtime);
  return 'problem' in found ? undefined : readModelMemory(found, definition.dimensions, runtime);
}

function textsOf(drawn: readonly DrawnText[]): string[] {
  return drawn.flatMap(({ text }) => (text === null ? [] : [text]));
}
