import type { Queryable } from '../../db/types.ts';
import { plural } from '../../plural.ts';
import { warningFinding } from '../finding.ts';
import { type Examined, type Look, seen, unseen } from './look.ts';
import { oldDimensions } from './old-size.ts';

const SHOWN = 20;
const NO_OLD_SIZE = 'the size of the old vectors is not known: there is none to look at';

interface PinnedColumn {
  readonly oid: number;
  readonly name: string;
  readonly column: string;
  readonly kind: string;
}

/** Caches, archives, materialized views: whatever else in the database is pinned to the old size and has no migration of its own. */
export async function lookAtVectorColumns(examined: Examined, tx: Queryable): Promise<Look> {
  const dimensions = oldDimensions(examined);
  if (dimensions === undefined) return unseen(NO_OLD_SIZE);
  const found = await readPinnedColumns(tx, dimensions);
  const others = found.filter((column) => !isMigrated(examined, column));
  const detail = `${found.length} ${plural(found.length, 'column')} of ${dimensions} dimensions in this database`;
  if (others.length === 0) return seen(detail);
  const shown = others.slice(0, SHOWN).map(({ name, kind }) => (kind === 'm' ? `${name} (materialized view)` : name));
  const more = others.length > SHOWN ? ` and ${others.length - SHOWN} more` : '';
  return seen(detail, [
    warningFinding(
      'same_dimensions',
      `Other columns have ${dimensions} dimensions too: ${shown.join(', ')}${more}.`,
      'If the application compares them with this one, they need a migration of their own; a cache is emptied, a materialized view made again after the swap.',
    ),
  ]);
}

/** By format_type, which unlike information_schema tells dimensions; arrays of vectors and domains over them included. */
async function readPinnedColumns(tx: Queryable, dimensions: number): Promise<readonly PinnedColumn[]> {
  const { rows } = await tx.query<PinnedColumn>(
    `SELECT c.oid, n.nspname || '.' || c.relname || '.' || a.attname AS name, a.attname AS column, c.relkind AS kind
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
       AND n.nspname NOT LIKE 'pg\\_temp\\_%'
       AND CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod)
         ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END ~ ('(^|[."])(vector|halfvec|sparsevec)"?\\(' || $1::int || '\\)')
     ORDER BY 2`,
    [dimensions],
  );
  return rows;
}

/** The columns of this migration, and those that another one has in hand or made. */
function isMigrated({ ctx, table, records }: Examined, { oid, column }: PinnedColumn): boolean {
  const { definition } = ctx;
  if (oid === table.oid && (column === definition.column || column === definition.target)) return true;
  return records.some(
    (record) =>
      record.tableOid === oid &&
      (column === record.keptColumn ||
        column === record.column ||
        (record.active === 'old' && column === record.target)),
  );
}
