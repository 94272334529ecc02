import type { MigrationDefinition } from '../config/types.ts';
import { batchWriteSql } from '../sql/batch-write.ts';
import { addTargetColumnsSql } from '../sql/columns.ts';
import { dropVectorColumnSql, keptColumnName, renameVectorColumnSql } from '../sql/exchange.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { readVectorsSql } from '../sql/read-vectors.ts';
import { readWindowSql } from '../sql/read-window.ts';
import { provenanceOf, tableSql, type VectorTarget } from '../sql/target.ts';
import { type TextSource, textName, unreadText } from '../sql/text-source.ts';
import { createTriggerSql } from '../sql/trigger.ts';
import { planAssumptions } from './assumptions.ts';
import { planChoices } from './choices.ts';
import { planDeployment } from './deployment.ts';
import type { PlanFacts } from './facts.ts';
import type { PlanInputs, PlanPace } from './inputs.ts';
import { planNotes } from './notes.ts';
import { reckonByAdapter } from './plan-adapter.ts';
import { choosePrice, planCost } from './plan-cost.ts';
import { type PlannedVectorIndex, planVectorIndexes } from './plan-indexes.ts';
import { planMemory } from './plan-memory.ts';
import { planRequests } from './plan-requests.ts';
import { planStorage } from './plan-storage.ts';
import { planTexts } from './plan-texts.ts';
import { planTime } from './plan-time.ts';
import type { MigrationPlan, PlannedStep } from './types.ts';

/** The model's id is known when the first row is embedded; its place in the SQL is what matters here. */
const MODEL_ID = 1;

/** The settings' own defaults. */
const DEFAULT_PACE: PlanPace = {
  batchRows: 1000,
  concurrency: 2,
  batchSize: undefined,
  remote: { maxRequests: 8, requestsPerMinute: undefined, tokensPerMinute: undefined },
};

/**
 * What the three migrations will do to a table, with their SQL, what they cost, how long they take and what they need. Pure: the same
 * facts, definition and inputs give the same plan. What `inputs` leaves out is not guessed but said to be unknown.
 */
export function makePlan(
  facts: PlanFacts,
  definition: MigrationDefinition,
  stateSchema: string,
  inputs: PlanInputs = {},
): MigrationPlan {
  const target = planTarget(facts, definition, stateSchema, inputs.text ?? unreadText(definition.text));
  const distance = definition.index.distance ?? facts.oldDistance ?? 'cosine';
  const indexes = planVectorIndexes(facts, definition, target, distance);
  const keepsIndex = definition.oldIndex === 'keep';
  const reckoned = reckon(facts, definition, indexes, inputs);
  return Object.freeze({
    migration: definition.id,
    table: `${facts.table.schema}.${facts.table.name}`,
    text: textName(definition.text),
    column: definition.column,
    target: definition.target,
    from: facts.table.columns.find((column) => column.name === definition.column)?.type ?? 'unknown',
    to: `${definition.vectorType}(${definition.dimensions})`,
    model: definition.model,
    provider: definition.provider,
    rows: facts.rowsEstimate,
    rowsCounted: facts.rowsCounted,
    distance,
    steps: [
      expandStep(facts, definition, target),
      fillStep(facts, definition, target, reckoned.adapter?.name),
      cutOverStep(facts, definition, target, indexes),
    ],
    indexes,
    storage: planStorage(facts, target, indexes, { column: definition.column, keepsIndex }),
    ...reckoned,
    retentionDays: definition.retentionDays,
    choices: planChoices(facts, definition),
    notes: planNotes(definition, indexes, reckoned, inputs.swapped === true),
    assumptions: planAssumptions(facts, definition, inputs, { ...reckoned, indexes }),
  });
}

type Reckoned = Pick<MigrationPlan, 'texts' | 'adapter' | 'requests' | 'cost' | 'time' | 'memory' | 'deployment'>;

function reckon(
  facts: PlanFacts,
  definition: MigrationDefinition,
  indexes: readonly PlannedVectorIndex[],
  { sample, probe, model, price = choosePrice(definition), budgetUsd, spent, pace = DEFAULT_PACE, adapter }: PlanInputs,
): Reckoned {
  const keepsIndex = definition.oldIndex === 'keep';
  const texts = planTexts(facts.rowsEstimate, sample);
  const requests = planRequests(texts, definition.provider, pace);
  const { dimensions } = definition;
  const time = planTime(facts, texts, { requests, probe, pace, keepsIndex, indexes, dimensions });
  const real = { texts, adapter: undefined, requests, cost: planCost(texts, price, budgetUsd, spent), time };
  const reckoned = adapter === undefined ? real : { texts, ...reckonByAdapter(facts, real, adapter) };
  return {
    ...reckoned,
    memory: planMemory(model, indexes),
    deployment: planDeployment(definition, facts.rowsEstimate, reckoned.time),
  };
}

function planTarget(
  facts: PlanFacts,
  definition: MigrationDefinition,
  stateSchema: string,
  text: TextSource,
): VectorTarget {
  return {
    schema: facts.table.schema,
    table: facts.table.name,
    key: facts.table.key,
    text,
    column: definition.target,
    provenance: provenanceOf(definition.target),
    vectorType: definition.vectorType,
    dimensions: definition.dimensions,
    vectorSchema: facts.extension.schema,
    stateSchema,
  };
}

function expandStep(facts: PlanFacts, definition: MigrationDefinition, target: VectorTarget): PlannedStep {
  const drops =
    definition.oldIndex === 'drop'
      ? facts.annIndexes.map((index) => `DROP INDEX CONCURRENTLY ${quoteQualified(facts.table.schema, index.name)}`)
      : [];
  return {
    name: `005_add_${definition.target}`,
    summary: 'adds the new column with its provenance and the trigger that notices edited texts; rewrites no row',
    sql: [...addTargetColumnsSql(target), ...createTriggerSql(target, definition.id, { always: false }), ...drops],
  };
}

function fillStep(
  facts: PlanFacts,
  definition: MigrationDefinition,
  target: VectorTarget,
  adapter: string | undefined,
): PlannedStep {
  if (adapter !== undefined) return mapStep(facts, definition, target, adapter);
  const window = {
    modelId: MODEL_ID,
    migrationId: definition.id,
    afterCursor: true,
    skipQuarantined: true,
    bounded: true,
  };
  return {
    name: `006_backfill_${definition.target}`,
    summary: 'reads pending rows in key order, embeds them, writes them under the guard; resumable at any point',
    sql: [readWindowSql(target, window), batchWriteSql(target, MODEL_ID, { fenced: true })],
  };
}

/** The adapter's id, like the model's, is known when the first row is mapped. */
const ADAPTED_ID = 2;

function mapStep(
  facts: PlanFacts,
  definition: MigrationDefinition,
  target: VectorTarget,
  adapter: string,
): PlannedStep {
  const { type = '', dimensions = null } = facts.table.columns.find(({ name }) => name === definition.column) ?? {};
  const from = {
    column: definition.column,
    vectorType: type.startsWith('halfvec') ? ('halfvec' as const) : ('vector' as const),
    dimensions: dimensions ?? 0,
    provenance: undefined,
  };
  const mapped = { ...target, adapted: { modelId: ADAPTED_ID, as: 'kept' as const, from }, mappedFrom: from };
  const window = { modelId: MODEL_ID, migrationId: definition.id, skipQuarantined: true, after: null, rows: 1000 };
  const upTo = target.key.map(({ name }) => `<last ${name} of the window>`);
  return {
    name: `006_backfill_${definition.target}`,
    summary: `maps the old vectors by ${adapter} in key order, writes them under the guard; resumable at any point`,
    sql: [
      readVectorsSql(mapped, { ...window, upTo }),
      batchWriteSql(mapped, MODEL_ID, { fenced: true, versioned: true }),
    ],
  };
}

function cutOverStep(
  facts: PlanFacts,
  definition: MigrationDefinition,
  target: VectorTarget,
  indexes: readonly PlannedVectorIndex[],
): PlannedStep {
  const names = provenanceOf(definition.column);
  const hasOwn = facts.table.columns.some((column) => column.name === names.model);
  const old = { column: definition.column, provenance: hasOwn ? names : undefined };
  const exchange =
    definition.oldColumn === 'drop'
      ? [dropVectorColumnSql(target, old)]
      : renameVectorColumnSql(target, old, keptColumnName(definition.column));
  return {
    name: '007_swap_embedding',
    summary:
      'catches up, builds the indexes without blocking anyone, then exchanges the columns in one short transaction: NOT NULL, DEFAULT, CHECKs, comment, grants and index names go with the column name',
    sql: [
      ...indexes.map((index) => index.sql),
      'BEGIN',
      ...exchange,
      ...renameVectorColumnSql(target, target, definition.column),
      'COMMIT',
      `ANALYZE ${tableSql(target)}`,
    ],
  };
}
