import { usd } from '../amounts.ts';
import type { MigrationDefinition } from '../config/types.ts';
import type { PlanFacts } from './facts.ts';
import type { PlanInputs } from './inputs.ts';
import { MAP_RATE, type PlannedAdapter } from './plan-adapter.ts';
import type { PlannedCost } from './plan-cost.ts';
import type { PlannedVectorIndex } from './plan-indexes.ts';
import { BYTES_PER_TOKEN, type PlannedTexts } from './plan-texts.ts';

/** What the numbers of a plan rest on, a sentence each. */
export function planAssumptions(
  facts: PlanFacts,
  definition: MigrationDefinition,
  inputs: PlanInputs,
  made: {
    readonly texts: PlannedTexts | undefined;
    readonly cost: PlannedCost;
    readonly indexes: readonly PlannedVectorIndex[];
    readonly adapter: PlannedAdapter | undefined;
  },
): string[] {
  return [
    facts.rowsCounted ? 'Rows are counted.' : "Rows are the planner's estimate; ANALYZE makes it better.",
    ...textsAssumptions(facts, inputs, made.texts),
    ...costAssumptions(definition, made.cost, made.texts),
    ...(made.adapter === undefined
      ? []
      : [
          `Mapping is reckoned at ${whole(MAP_RATE)} rows a second (docs/benchmarks.md, two cores), a third to three times of it; rows without an old vector are not reckoned with.`,
        ]),
    ...timeAssumptions(inputs, made.indexes),
    'WAL is lock, new row version and index entries of every row, and each page once whole (full_page_writes); more checkpoints make it more, wal_compression less.',
    'Room at the peak is without any VACUUM on the way; each kept old index gets a second entry a row.',
  ];
}

function textsAssumptions(facts: PlanFacts, { sample }: PlanInputs, texts: PlannedTexts | undefined): string[] {
  if (texts === undefined || sample === undefined)
    return ['No text was looked at: tokens, cost and time are not known.'];
  const { value, low, high } = BYTES_PER_TOKEN;
  const all = texts.sampledRows >= facts.rowsEstimate;
  const of = `${whole(texts.sampledRows)} of ${whole(facts.rowsEstimate)} rows`;
  return [
    all
      ? 'Every row was looked at.'
      : `A sample of ${of} speaks for all, from pages chosen at random; ranges are 95% intervals, reckoned between pages.`,
    texts.tokenizer === undefined
      ? `Tokens are estimated at ${value} UTF-8 bytes each (${low} to ${high})${sample.notCounted === undefined ? '' : `: ${sample.notCounted}`}.`
      : `Tokens are counted by ${texts.tokenizer}, special tokens included.`,
  ];
}

function costAssumptions(
  { provider, model }: MigrationDefinition,
  { price, usd: cost }: PlannedCost,
  texts: PlannedTexts | undefined,
): string[] {
  if (price === undefined)
    return [`The price of ${model} at ${provider} is not known here: --price or EMBEDDING_PRICE sets it.`];
  if (price.usdPerMillionTokens === 0)
    return ['Embedding costs nothing by the token; the machine it runs on is not in this plan.'];
  const cached = texts === undefined ? 0 : Math.round(texts.cachedShare * 100);
  return [
    `A million tokens cost ${usd(price.usdPerMillionTokens)} (${price.source}); a list price, without free quotas and discounts.`,
    ...(cost === undefined
      ? []
      : [
          'Every text is embedded once; rows that change meanwhile are embedded again. Equal texts of a batch are sent once, which is not reckoned with.',
        ]),
    ...(cached > 0 ? [`${cached}% of the sampled texts are in the vector cache and cost nothing.`] : []),
  ];
}

function timeAssumptions({ probe }: PlanInputs, indexes: readonly PlannedVectorIndex[]): string[] {
  const written =
    'Writing is reckoned at the rate of the benchmarks (docs/benchmarks.md), a third to three times of it.';
  const probed =
    probe === undefined
      ? 'How long embedding takes was not measured: add --probe.'
      : `Embedding is reckoned from ${whole(probe.texts)} sampled texts, ${whole(probe.tokens)} tokens, in ${probe.seconds.toFixed(1)} s on ${probe.device}; beside other work it takes longer.`;
  if (indexes.length === 0) return [probed, written];
  return [
    probed,
    written,
    'Building the indexes is a guess from one machine, a quarter to four times of it; an HNSW graph that does not fit maintenance_work_mem takes many times longer.',
  ];
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
