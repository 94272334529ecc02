import { bytes, count, megabytes, number, usd } from '../amounts.ts';
import type { ProviderName } from '../config/types.ts';
import type { Estimate } from '../plan/estimate.ts';
import type { PlannedVectorIndex } from '../plan/plan-indexes.ts';
import type { MigrationPlan } from '../plan/types.ts';
import { countText, estimateText } from './estimate-text.ts';
import { durationText } from './progress-text.ts';

/** A table of two columns under a title. */
export interface PlanSection {
  readonly title: string;
  readonly rows: readonly (readonly [string, string])[];
}

const UNKNOWN = 'not known';
const ELSEWHERE = 'none: it runs elsewhere';
const WITHOUT_MODEL: Readonly<Record<ProviderName, string>> = {
  local: `${UNKNOWN}: the model is not here`,
  hash: 'none to speak of',
  file: 'none to speak of',
  openai: ELSEWHERE,
  huggingface: ELSEWHERE,
  tei: ELSEWHERE,
  gemini: ELSEWHERE,
  adapted: 'that of a projection',
};

/** The numbers of a plan, for whatever prints them. */
export function planSections(plan: MigrationPlan): PlanSection[] {
  return [
    { title: 'What', rows: whatRows(plan) },
    { title: 'Work', rows: workRows(plan) },
    { title: 'Time', rows: timeRows(plan) },
    { title: 'Disk', rows: diskRows(plan) },
    { title: 'Memory', rows: memoryRows(plan) },
  ];
}

function whatRows(plan: MigrationPlan): PlanSection['rows'] {
  return [
    ['Migration', plan.migration],
    ['Table', `${plan.table}, ${plan.rowsCounted ? '' : 'about '}${count(plan.rows, 'row')}`],
    ['From', `${plan.column} ${plan.from}`],
    ['To', `${plan.target} ${plan.to}, ${madeText(plan)}`],
    ['Distance', plan.distance],
  ];
}

function madeText({ adapter, model, text, column }: MigrationPlan): string {
  if (adapter === undefined) return `made by ${model} from ${text}`;
  return `mapped by ${adapter.name} from ${column} into the space of ${model}`;
}

function workRows({ texts, requests, cost, adapter }: MigrationPlan): PlanSection['rows'] {
  if (texts === undefined) return [['Texts', `${UNKNOWN}: none was looked at`]];
  const perText = texts.texts.value === 0 ? 0 : texts.tokens.value / texts.texts.value;
  return [
    ...(texts.done.value === 0 ? [] : ([['Done', countText(texts.done, 'row')]] as const)),
    ['Texts', countText(texts.texts, 'text')],
    ['Tokens', `${countText(texts.tokens, 'token')}, ${number(perText)} a text`],
    ['Too long', tooLongText(texts)],
    ...(requests === undefined ? [] : ([['Requests', countText(requests, 'request')]] as const)),
    ['Cost', adapter === undefined ? costText(cost) : 'nothing by the token: no text is embedded'],
    ...(adapter === undefined ? [] : ([['Replacing', replacingText(adapter.replacing)]] as const)),
  ];
}

/** What the model's own vectors would take later. */
function replacingText({ tokens, usd: cost, seconds }: NonNullable<MigrationPlan['adapter']>['replacing']): string {
  const parts = [
    ...(tokens === undefined ? [] : [countText(tokens, 'token')]),
    cost === undefined ? 'no price is known' : estimateText(cost, usd),
    seconds === undefined ? 'time not measured (add --probe)' : estimateText(seconds, durationText),
  ];
  return `${parts.join('; ')}: "reembed backfill --replace-adapted", later`;
}

function tooLongText({ maxTokens, truncated, tokensLost }: NonNullable<MigrationPlan['texts']>): string {
  if (maxTokens === undefined) return `${UNKNOWN}: the model's limit is not`;
  const over = `over ${count(maxTokens, 'token')}: ${countText(truncated, 'text')}`;
  return truncated.value === 0 ? over : `${over}, which lose ${countText(tokensLost, 'token')}`;
}

function costText({ usd: cost, price, spentUsd, budgetUsd, overBudget }: MigrationPlan['cost']): string {
  const spent = spentUsd === 0 ? '' : `, ${usd(spentUsd)} are spent already`;
  const budget =
    budgetUsd === undefined ? spent : `${spent}, budget ${usd(budgetUsd)}${overBudget === true ? ': OVER BUDGET' : ''}`;
  if (cost === undefined) return `${UNKNOWN}${price === undefined ? ': no price' : ''}${budget}`;
  if (price?.usdPerMillionTokens === 0) return `${usd(0)} by the token (${price.source})${budget}`;
  return `${estimateText(cost, usd)}, ${usd(price?.usdPerMillionTokens ?? 0)} a million tokens${budget}`;
}

function timeRows({ time, deployment, adapter }: MigrationPlan): PlanSection['rows'] {
  const seconds = (estimate: Estimate): string =>
    estimate.high < 1 ? `under 1 s (${estimate.basis})` : estimateText(estimate, durationText);
  return [
    adapter === undefined
      ? ['Embedding', time.embedSeconds === undefined ? 'not measured; add --probe' : seconds(time.embedSeconds)]
      : ['Mapping', seconds(adapter.mapSeconds)],
    ['Writing', seconds(time.writeSeconds)],
    [
      'Backfill',
      time.backfillSeconds === undefined
        ? 'the longer of the two, they go on at the same time'
        : `${seconds(time.backfillSeconds)}: the longer of the two`,
    ],
    ['Indexes', seconds(time.indexSeconds)],
    ['Deployment', `${deployment.way}: ${deployment.because}`],
  ];
}

function diskRows({ storage }: MigrationPlan): PlanSection['rows'] {
  const old = storage.oldColumnBytes === undefined ? UNKNOWN : `about ${bytes(storage.oldColumnBytes)}`;
  const compact = storage.compactTableBytes === undefined ? UNKNOWN : `about ${bytes(storage.compactTableBytes)}`;
  return [
    ['Now', `table ${bytes(storage.tableBytes)}, indexes ${bytes(storage.indexBytes)}; of it old vectors ${old}`],
    [
      'Needed',
      `about ${bytes(storage.newColumnBytes)} for the column, ${bytes(storage.newIndexBytes)} for its indexes`,
    ],
    ['At the peak', estimateText(storage.peakBytes, bytes)],
    ['Afterwards', `the table ${compact}, once the old column is dropped and VACUUM FULL or a repack has run`],
    [
      'WAL',
      `backfill ${estimateText(storage.walBytes.backfill, bytes)}; indexes ${estimateText(storage.walBytes.indexes, bytes)}`,
    ],
  ];
}

function memoryRows({ memory, provider }: MigrationPlan): PlanSection['rows'] {
  const { model, indexBuildBytes } = memory;
  const here =
    model === undefined
      ? WITHOUT_MODEL[provider]
      : `${estimateText(model.bytes, bytes)}: ${count(model.threads, 'session')} of ${bytes(model.sessionBytes)}, ${model.dtype}, ${bytes(model.graphBytes)} on disk`;
  return [
    ['Model', here],
    ['Index build', indexBuildBytes === 0 ? 'no index' : `about ${megabytes(indexBuildBytes)} of maintenance_work_mem`],
  ];
}

/** One index in a sentence. */
export function indexText(index: PlannedVectorIndex): string {
  const lists =
    index.lists === undefined ? '' : `, ${count(index.lists, 'list')}, ${count(index.probes ?? 1, 'probe')}`;
  return `Index ${index.name}: ${index.kind}${lists}, about ${bytes(index.bytes)}${memoryText(index)}`;
}

function memoryText({ buildMemoryBytes, graphBytes }: PlannedVectorIndex): string {
  if (buildMemoryBytes !== undefined) return `, maintenance_work_mem ${megabytes(buildMemoryBytes)} while it is built`;
  if (graphBytes === undefined || graphBytes === 0) return '';
  return `, its graph takes ${megabytes(graphBytes)} of maintenance_work_mem: with less it is many times slower to build`;
}
