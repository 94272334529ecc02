import type { MigrationDefinition } from '../config/types.ts';
import { batchWriteSql } from '../sql/batch-write.ts';
import { addTargetColumnsSql } from '../sql/columns.ts';
import { dropVectorColumnSql, keptColumnName, renameVectorColumnSql } from '../sql/exchange.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { readWindowSql } from '../sql/read-window.ts';
import { newColumnBytes, vectorBytes } from '../sql/storage.ts';
import { provenanceOf, tableSql, type VectorTarget } from '../sql/target.ts';
import { createTriggerSql } from '../sql/trigger.ts';
import { planChoices } from './choices.ts';
import { planVectorIndexes } from './plan-indexes.ts';
import type { MigrationPlan, PlanFacts, PlannedStep, PlannedStorage, PlannedVectorIndex } from './types.ts';

/** The model's id is known when the first row is embedded; its place in the SQL is what matters here. */
const MODEL_ID = 1;

/**
 * What the three migrations will do to a table, with their SQL and what they need on disk. Pure: the same facts and definition
 * give the same plan. How long inference takes and what it costs is not foretold.
 */
export function makePlan(facts: PlanFacts, definition: MigrationDefinition, stateSchema: string): MigrationPlan {
  const target = planTarget(facts, definition, stateSchema);
  const distance = definition.index.distance ?? facts.oldDistance ?? 'cosine';
  const indexes = planVectorIndexes(facts, definition, target, distance);
  return Object.freeze({
    migration: definition.id,
    table: `${facts.table.schema}.${facts.table.name}`,
    text: definition.text,
    column: definition.column,
    target: definition.target,
    from: facts.table.columns.find((column) => column.name === definition.column)?.type ?? 'unknown',
    to: `${definition.vectorType}(${definition.dimensions})`,
    model: definition.model,
    rows: facts.rowsEstimate,
    rowsCounted: facts.rowsCounted,
    distance,
    steps: [
      expandStep(facts, definition, target),
      fillStep(definition, target),
      cutOverStep(facts, definition, target, indexes),
    ],
    indexes,
    storage: planStorage(facts, target, indexes),
    choices: planChoices(facts, definition),
    notes: planNotes(definition, indexes),
  });
}

function planTarget(facts: PlanFacts, definition: MigrationDefinition, stateSchema: string): VectorTarget {
  return {
    schema: facts.table.schema,
    table: facts.table.name,
    key: facts.table.key,
    text: definition.text,
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

function fillStep(definition: MigrationDefinition, target: VectorTarget): PlannedStep {
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

function planStorage(facts: PlanFacts, target: VectorTarget, indexes: readonly PlannedVectorIndex[]): PlannedStorage {
  const old = facts.oldDimensions;
  return {
    newColumnBytes: newColumnBytes(facts.rowsEstimate, target),
    newIndexBytes: indexes.reduce((sum, index) => sum + index.bytes, 0),
    oldColumnBytes: old === undefined ? undefined : facts.rowsEstimate * vectorBytes('vector', old),
    tableBytes: facts.tableBytes,
    indexBytes: facts.indexBytes,
  };
}

function planNotes(definition: MigrationDefinition, indexes: readonly PlannedVectorIndex[]): string[] {
  const notices = indexes.flatMap((index) => (index.notice === undefined ? [] : [`${index.name}: ${index.notice}`]));
  return [
    'Every row is written once: until VACUUM has run, its former version takes room beside it.',
    ...(definition.oldColumn === 'drop'
      ? ['Dropping the old column frees no room on disk until VACUUM FULL or a repack.']
      : []),
    ...(indexes.length > 0 ? ['Lists and probes are decided again in 007, from the rows that are there then.'] : []),
    ...new Set(notices),
  ];
}
