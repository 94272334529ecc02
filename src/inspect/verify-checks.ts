import { plural } from '../plural.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { readModel, type StoredFingerprint } from '../state/models.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import type { ComparedVectors, Mismatch } from './compare-again.ts';
import { annIndexesOn } from './facts.ts';
import { modelDifferences } from './model-differences.ts';
import { type Provenance, type RowTally, readForeignModels } from './row-counts.ts';
import { describeKeys, findBadVectors, findStaleTexts, type Norms } from './stored-vectors.ts';

export interface VerifyCheck {
  readonly name: string;
  readonly ok: boolean;
  /** Nobody could look: then it is not ok either. */
  readonly unknown?: boolean;
  /** What was observed, and what was expected where it is not ok. */
  readonly detail: string;
}

/** After the swap a row is complete with a vector that the application wrote itself, and not with one of a former text. */
export function completeness(ctx: MigrationContext, rows: RowTally, provenance: Provenance): VerifyCheck {
  const limit = ctx.runtime.maxQuarantined;
  // Under texts that cannot be embedded nothing is missing.
  const stale = Math.min(provenance.stale, rows.pending);
  const parts = [`${rows.done + stale} of ${rows.total} ${plural(rows.total, 'row has', 'rows have')} a vector`];
  if (rows.pending > stale) parts.push(`${rows.pending - stale} are missing`);
  if (stale > 0) parts.push(`${stale} of a text that was edited since (run "reembed sync --once")`);
  if (rows.skipped > 0) parts.push(`${rows.skipped} ${plural(rows.skipped, 'has', 'have')} no text`);
  if (rows.quarantined > 0)
    parts.push(`${rows.quarantined} ${plural(rows.quarantined, 'is', 'are')} in quarantine (at most ${limit} may be)`);
  return { name: 'completeness', ok: rows.pending === 0 && rows.quarantined <= limit, detail: parts.join(', ') };
}

export function dimensions(table: ResolvedMigration['table'], target: VectorTarget): VerifyCheck {
  const column = table.columns.find((candidate) => candidate.name === target.column);
  const wanted = `${target.vectorType}(${target.dimensions})`;
  const ok = column?.typeName === target.vectorType && column.dimensions === target.dimensions;
  const detail = `${target.table}.${target.column} is ${column?.type ?? 'gone'}${ok ? '' : `, expected ${wanted}`}`;
  return { name: 'dimensions', ok, detail };
}

export async function vectorChecks(
  ctx: MigrationContext,
  target: VectorTarget,
  norms: Norms,
  fingerprint: StoredFingerprint | undefined,
): Promise<VerifyCheck[]> {
  const named = async (kind: 'zero' | 'not-finite' | 'not-normalised'): Promise<string> =>
    describeKeys(await findBadVectors(ctx.db, target, kind));
  const normalised = fingerprint?.normalize === true;
  const range =
    norms.vectors === 0 ? 'no vectors' : `min ${round(norms.min)}, mean ${round(norms.mean)}, max ${round(norms.max)}`;
  return [
    {
      name: 'zero vectors',
      ok: norms.zero === 0,
      detail: norms.zero === 0 ? 'none' : `${norms.zero}: ${await named('zero')}`,
    },
    {
      name: 'finite values',
      ok: norms.notFinite === 0,
      detail:
        norms.notFinite === 0
          ? 'all'
          : `${norms.notFinite} ${plural(norms.notFinite, 'vector holds', 'vectors hold')} NaN or Infinity: ${await named('not-finite')}`,
    },
    {
      name: 'norms',
      ok: !normalised || norms.notUnit === 0,
      detail:
        normalised && norms.notUnit > 0
          ? `${range}; the model normalises, ${norms.notUnit} are not of length 1: ${await named('not-normalised')}`
          : range,
    },
  ];
}

/** @param adapter the one that the record names, as `adapted:<id>` */
export async function provenanceCheck(
  ctx: MigrationContext,
  { record, target }: ResolvedMigration,
  provenance: Provenance,
  adapter: string | undefined,
): Promise<VerifyCheck> {
  const swapped = record.active === 'new';
  const parts = [`${provenance.own} by the migration's model`];
  if (provenance.adapted > 0) parts.push(`${provenance.adapted} by ${adapter ?? 'an adapter'}`);
  if (provenance.unrecorded > 0) {
    parts.push(`${provenance.unrecorded} ${swapped ? 'written by the application' : 'written by someone else'}`);
  }
  if (provenance.foreign > 0) {
    parts.push(`${provenance.foreign} by another model${await foreignNames(ctx, target, record.modelId)}`);
  }
  return {
    name: 'provenance',
    ok: provenance.foreign === 0 && (swapped || provenance.unrecorded === 0),
    detail: parts.join(', '),
  };
}

async function foreignNames(ctx: MigrationContext, target: VectorTarget, modelId: number | null): Promise<string> {
  const names: string[] = [];
  for (const id of await readForeignModels(ctx.db, target, modelId)) {
    const name = (await readModel(ctx.db, ctx.runtime.stateSchema, id))?.name;
    if (typeof name === 'string') names.push(name);
  }
  return names.length === 0 ? '' : ` (${names.join(', ')})`;
}

/** After the swap the indexes that the migration built are there, valid, on this column and for one distance. */
export function indexCheck(ctx: MigrationContext, { record, table, target }: ResolvedMigration): VerifyCheck {
  const found = annIndexesOn(table, target.column);
  const invalid = found.filter((index) => !index.valid).map((index) => index.name);
  const gone =
    record.active === 'new'
      ? record.newIndexes.filter((wanted) => !found.some((index) => index.name === wanted.name))
      : [];
  const kinds = record.newIndexes.flatMap((wanted) => {
    const index = found.find((candidate) => candidate.name === wanted.name);
    return index !== undefined && index.method !== wanted.kind
      ? [`${wanted.name} is ${index.method}, not ${wanted.kind}`]
      : [];
  });
  const distance = ctx.definition.index.distance;
  const other =
    distance === undefined
      ? []
      : found.filter((index) => index.distance !== distance && index.quantization !== 'binary');
  const problems = [
    ...invalid.map((name) => `${name} is invalid`),
    ...gone.map((index) => `${index.name} is gone`),
    ...kinds,
    ...other.map((index) => `${index.name} is for ${index.distance ?? 'another distance'}, not ${distance}`),
  ];
  const names = found
    .map(
      (index) =>
        `${index.name} (${index.method}, ${index.quantization === 'binary' ? 'binary' : (index.distance ?? 'other distance')})`,
    )
    .join(', ');
  const none = record.active === 'new' ? 'none' : 'none yet: 007 builds them';
  return {
    name: 'indexes',
    ok: problems.length === 0,
    detail: problems.length > 0 ? problems.join('; ') : names || none,
  };
}

export async function textCheck(
  ctx: MigrationContext,
  target: VectorTarget,
  modelId: number | null,
  full: boolean,
  sampleSize: number,
  seed: number,
): Promise<VerifyCheck> {
  const stale = await findStaleTexts(ctx.db, target, modelId, full ? undefined : { size: sampleSize, seed });
  const scope = full ? 'all rows' : 'the sample';
  if (stale.count === 0) return { name: 'text hashes', ok: true, detail: `${scope}: as when they were embedded` };
  const detail = `${scope}: ${stale.count} ${plural(stale.count, 'text is not the one that was', 'texts are not those that were')} embedded: ${describeKeys(stale.keys)}`;
  return { name: 'text hashes', ok: false, detail };
}

export function modelCheck(stored: StoredFingerprint, present: StoredFingerprint): VerifyCheck {
  const differences = modelDifferences(stored, present);
  const name = 'model';
  if (differences.length === 0) return { name, ok: true, detail: String(present.name) };
  return { name, ok: false, detail: `the vectors are from another model than this one: ${differences.join('; ')}` };
}

export function againCheck(compared: ComparedVectors, mismatches: readonly Mismatch[], full: boolean): VerifyCheck {
  const name = 'embedded again';
  if (compared.rows === 0) return { name, ok: true, detail: 'no vectors to compare' };
  const scope = `${compared.rows} ${full ? `${plural(compared.rows, 'row')}, all of them` : `random ${plural(compared.rows, 'row')}`}`;
  const cosines = `cosine min ${round(compared.minCosine)}, mean ${round(compared.meanCosine)}, limit ${compared.limit}`;
  if (compared.below === 0) return { name, ok: true, detail: `${scope}: ${cosines}` };
  const keys = describeKeys(mismatches.map((mismatch) => mismatch.key));
  return { name, ok: false, detail: `${scope}: ${cosines}; ${compared.below} below it: ${keys}` };
}

export function round(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 1e6) / 1e6) : String(value);
}
