import { quoteIdentifier } from '../sql/identifiers.ts';
import { notEmbeddedSql } from '../sql/pending.ts';
import { tableSql, textHashSql } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import type { ResolvedMigration } from '../state/resolve.ts';

/**
 * While no trigger watched the column (after the swap it watches the other one), a text may have changed: such a row is not taken for
 * done. A row that the application holds at this moment is left to the trigger, which watches again.
 */
export async function forgetEditedRows(ctx: MigrationContext, { record, target }: ResolvedMigration): Promise<void> {
  if (target.provenance === undefined || record.modelId === null) return;
  const { model, hash, at } = target.provenance;
  const clear = [model, hash, at].map((name) => `${quoteIdentifier(name)} = NULL`).join(', ');
  const embedded = `NOT (${notEmbeddedSql(target, 't', record.modelId)})`;
  const edited = `t.${quoteIdentifier(hash)} IS DISTINCT FROM ${textHashSql(target.text, 't')}`;
  await ctx.db.query(
    `WITH l AS MATERIALIZED (SELECT t.ctid FROM ${tableSql(target)} t WHERE ${embedded} AND ${edited} FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE ${tableSql(target)} t SET ${clear} FROM l WHERE t.ctid = l.ctid`,
  );
}
