import { plural } from '../../plural.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { annIndexesOn } from '../facts.ts';
import { warningFinding } from '../finding.ts';
import { type Examined, type Look, seen } from './look.ts';

/** Validity of every index, and the distances of those for nearest neighbours. */
export function lookAtIndexes({ ctx, table }: Examined): Look {
  const { definition } = ctx;
  const invalid = table.indexes
    .filter((index) => !index.valid)
    .map((index) =>
      warningFinding(
        'index_invalid',
        `Index "${index.schema}.${index.name}" is INVALID: a build of it was interrupted, or is going on.`,
        `When nothing builds it: DROP INDEX CONCURRENTLY ${quoteQualified(index.schema, index.name)}.`,
      ),
    );
  const wanted = definition.index.distance;
  const ann = [definition.column, definition.target].flatMap((column) => annIndexesOn(table, column));
  const mismatched = ann
    .filter((index) => wanted !== undefined && index.distance !== wanted)
    .map((index) =>
      warningFinding(
        'distance_mismatch',
        `Index "${index.name}" is for ${index.distance ?? 'another distance'}, the configuration asks for ${wanted}: queries with one do not use an index of the other.`,
        'Set index.distance (or REEMBED_DISTANCE) to what the application queries with.',
      ),
    );
  const names = ann
    .map((index) => `"${index.name}" (${index.method}, ${index.distance ?? 'another distance'})`)
    .join(', ');
  const detail = `${table.indexes.length} ${plural(table.indexes.length, 'index', 'indexes')}, for vectors: ${names || 'none'}`;
  return seen(detail, [...invalid, ...mismatched]);
}
