import { vectorToSql } from 'pgvector/utils';

/** pgvector's text form, `[1,0.5]`. @throws RangeError for values that are not finite, and for none */
export function vectorLiteral(vector: ArrayLike<number>): string {
  const values = Array.from(vector);
  if (values.length === 0) throw new RangeError('a vector has at least one dimension');
  const bad = values.find((value) => !Number.isFinite(value));
  if (bad !== undefined) throw new RangeError(`a vector holds finite values only, got ${bad}`);
  return String(vectorToSql(values));
}
