import type { ColumnInfo } from '../../db/catalog-types.ts';
import type { Queryable } from '../../db/types.ts';
import { plural } from '../../plural.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { provenanceOf } from '../../sql/target.ts';
import { readModel } from '../../state/models.ts';
import type { FindingCode } from '../catalogue.ts';
import { annIndexesOn } from '../facts.ts';
import { errorFinding, type Finding, warningFinding } from '../finding.ts';
import { hasProvenance } from '../provenance-columns.ts';
import { describeKeys } from '../stored-vectors.ts';
import { type Examined, type Look, seen, unseen } from './look.ts';
import { type Counted, type MeasuredVectors, measureVectors } from './measure-vectors.ts';
import { sampleRows, scopeOf, targetOf } from './sample.ts';

interface LookedAt {
  readonly column: ColumnInfo;
  /** Whose vectors it holds. */
  readonly side: 'old' | 'new';
  /** True where vectors of another length than 1 are wrong. */
  readonly unit: boolean;
}

/** Below so many vectors nothing is said of a mixture. */
const MIXTURE_ROWS = 20;
/** A share of vectors of length 1 between these is a mixture. */
const MIXTURE = { least: 0.01, most: 0.99 };

/** The vectors themselves: of the column in use, the new one and the kept one. */
export async function lookAtStoredVectors(examined: Examined, tx: Queryable): Promise<Look> {
  if (examined.table.kind !== 'r') return unseen('only the rows of an ordinary table are sampled');
  const details: string[] = [];
  const findings: Finding[] = [];
  for (const looked of await columnsOf(examined, tx)) {
    const measured = await measure(examined, tx, looked.column);
    findings.push(...vectorFindings(examined, looked, measured));
    const lengths = measured.rows === 0 ? '' : `, lengths ${round(measured.shortest)} to ${round(measured.longest)}`;
    details.push(
      `"${looked.column.name}": ${scopeOf(examined, measured.rows, 'vector').replace(/^of /, '')}${lengths}`,
    );
  }
  return details.length === 0 ? unseen('there is no vector column to look at') : seen(details.join('; '), findings);
}

async function columnsOf({ ctx, table, record }: Examined, tx: Queryable): Promise<LookedAt[]> {
  const { definition, runtime } = ctx;
  const swapped = record?.active === 'new';
  const names: readonly (readonly [string | null, LookedAt['side']])[] = [
    [definition.column, swapped ? 'new' : 'old'],
    [swapped || record === undefined ? null : record.target, 'new'],
    [record?.keptColumn ?? null, 'old'],
  ];
  const modelId = record?.modelId ?? null;
  const model = modelId === null ? undefined : await readModel(tx, runtime.stateSchema, modelId);
  return names.flatMap(([name, side]) => {
    const column = table.columns.find((candidate) => candidate.name === name);
    if (column === undefined || (column.typeName !== 'vector' && column.typeName !== 'halfvec')) return [];
    const byInnerProduct =
      definition.index.distance === 'ip' || annIndexesOn(table, column.name).some((i) => i.distance === 'ip');
    return [{ column, side, unit: byInnerProduct || (side === 'new' && model?.normalize === true) }];
  });
}

async function measure(examined: Examined, tx: Queryable, column: ColumnInfo): Promise<MeasuredVectors> {
  const { table, text } = examined;
  const target = targetOf(examined, column);
  const sample = await sampleRows(tx, examined, target, `t.${quoteIdentifier(column.name)} IS NOT NULL`);
  return measureVectors(tx, target, sample, {
    text,
    model: hasProvenance(column.name, table) ? provenanceOf(column.name).model : undefined,
  });
}

function vectorFindings(examined: Examined, looked: LookedAt, measured: MeasuredVectors): Finding[] {
  const { table, record } = examined;
  const { column, side, unit } = looked;
  const name = `"${table.name}.${column.name}"`;
  // The migration makes the old ones anew; new ones would go on being wrong.
  const finding = side === 'new' ? errorFinding : warningFinding;
  const fix = fixFor(column.name, side, record?.active === 'new');
  const scope = scopeOf(examined, measured.rows, 'vector');
  const findings: Finding[] = [];
  const add = (code: FindingCode, { count, keys }: Counted, one: string, many: string): void => {
    if (count === 0) return;
    const what = plural(count, one, many);
    findings.push(finding(code, `${count} ${scope} in ${name} ${what}: ${describeKeys(keys)}.`, fix));
  };
  if (measured.dimensions.length > 1) {
    const sizes = measured.dimensions.join(', ');
    findings.push(
      finding('mixed_dimensions', `The vectors in ${name} have different dimensions: ${sizes} (${scope}).`, fix),
    );
  }
  // What its own adapter mapped is meant to stand among the model's vectors.
  const models = measured.models.filter((id) => side === 'old' || id !== record?.adaptedModelId).length;
  if (models > 1) {
    findings.push(
      warningFinding('mixed_models', `The vectors in ${name} were made by ${models} different models (${scope}).`, fix),
    );
  }
  add('zero_vectors', measured.zero, 'is zero', 'are zero');
  add('not_finite', measured.notFinite, 'holds NaN or Infinity', 'hold NaN or Infinity');
  if (unit) add('not_normalised', measured.notUnit, 'is not of length 1', 'are not of length 1');
  else findings.push(...mixtureFindings(name, scope, measured, fix));
  if (measured.duplicates.count > 0) {
    const { count, keys } = measured.duplicates;
    findings.push(
      warningFinding(
        'duplicate_vectors',
        `${count} ${scope} in ${name} stand under different texts with the same vector: ${describeKeys(keys)}.`,
        fix,
      ),
    );
  }
  return findings;
}

/** Some of length 1 and others not: where nothing asks for length 1, this is all that tells two makers apart. */
function mixtureFindings(
  name: string,
  scope: string,
  { unit, notUnit, zero }: MeasuredVectors,
  fix: string,
): Finding[] {
  const others = notUnit.count - zero.count;
  const share = unit / (unit + others);
  if (unit + others < MIXTURE_ROWS || share < MIXTURE.least || share > MIXTURE.most) return [];
  const message = `${unit} ${scope} in ${name} ${plural(unit, 'has', 'have')} length 1, ${others} ${plural(others, 'has', 'have')} another.`;
  return [warningFinding('mixed_lengths', message, fix)];
}

function fixFor(column: string, side: LookedAt['side'], swapped: boolean): string {
  if (side === 'new' && swapped)
    return 'Write these rows again with the present model; "reembed verify --full" names all of them.';
  if (side === 'new') {
    return `Set ${quoteIdentifier(provenanceOf(column).model)} to NULL in these rows and run "reembed backfill"; "reembed verify --full" names all of them.`;
  }
  if (swapped)
    return 'They come back with "reembed rollback"; with "from" configured it fills rows whose old vector is NULL.';
  return 'The migration gives these rows new vectors; until then set them to NULL, or write them again with the old model.';
}

function round(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : 'unknown';
}
