import { quoteIdentifier } from './identifiers.ts';
import { provenanceOf, tableSql, type VectorTarget, vectorTypeSql } from './target.ts';

/** A halfvec or vector of so many bytes still fits a page beside a row of ordinary width. */
const MAIN_STORAGE_LIMIT_BYTES = 6_000;

/**
 * `ALTER TABLE … ADD COLUMN` for the vector and its provenance, all nullable and without default: no row is rewritten.
 * Storage MAIN keeps a vector in the row where it fits; EXTERNAL, the type's default, moves it into TOAST beside long
 * texts, which doubles WAL and makes exact scans several times slower.
 */
export function addTargetColumnsSql(target: VectorTarget): string[] {
  const provenance = target.provenance ?? provenanceOf(target.column);
  const column = quoteIdentifier(target.column);
  const bytes = target.dimensions * (target.vectorType === 'halfvec' ? 2 : 4) + 8;
  const statements = [
    `ALTER TABLE ${tableSql(target)} ` +
      `ADD COLUMN ${column} ${vectorTypeSql(target)}, ` +
      `ADD COLUMN ${quoteIdentifier(provenance.model)} integer, ` +
      `ADD COLUMN ${quoteIdentifier(provenance.hash)} bytea, ` +
      `ADD COLUMN ${quoteIdentifier(provenance.at)} timestamptz`,
  ];
  if (bytes <= MAIN_STORAGE_LIMIT_BYTES) {
    statements.push(`ALTER TABLE ${tableSql(target)} ALTER COLUMN ${column} SET STORAGE MAIN`);
  }
  return statements;
}

/** Drops a vector column with its provenance; indexes on it go with it. */
export function dropTargetColumnsSql(target: VectorTarget): string {
  const provenance = target.provenance ?? provenanceOf(target.column);
  const drops = [target.column, provenance.model, provenance.hash, provenance.at].map(
    (name) => `DROP COLUMN IF EXISTS ${quoteIdentifier(name)}`,
  );
  return `ALTER TABLE ${tableSql(target)} ${drops.join(', ')}`;
}
