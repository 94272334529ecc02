import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError, type Step } from '../errors.ts';
import { plural } from '../plural.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { adaptedSql, keyJsonSql, STALE_MODEL } from '../sql/pending.ts';
import { tableSql, textHashSql, type VectorTarget } from '../sql/target.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import type { ResolvedMigration } from '../state/resolve.ts';

const LIMIT_MS = 60_000;
/** On a table that takes long to read, the limit alone would leave no second try. */
const LEAST_PASSES = 5;
const PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;
const COUNTED_ROWS = 1_000;
const SHOWN_ROWS = 3;

interface Edited {
  /** Of a row `t`: it has a vector of ours, made from another text. */
  readonly condition: string;
  readonly clear: string;
}

/**
 * While no trigger watched the column (after the swap it watches the other one), a text may have changed: such a row is not taken for
 * done. Never waits for a row that the application holds; looks again until none is left.
 *
 * @returns how many rows that were
 * @throws BusyError `rows_locked` when edited rows stay locked for a minute; what was cleared until then stays so
 */
export async function forgetEditedRows(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  step: Step,
): Promise<number> {
  const { target } = resolved;
  const edited = editedRows(target);
  if (edited === undefined) return 0;
  const started = performance.now();
  let cleared = 0;
  for (let pass = 1; ; pass++) {
    throwIfStopped(ctx, step);
    cleared += await clearUnlocked(ctx, target, edited);
    // A row that was updated after that statement's snapshot is missed as well: only a look of its own tells.
    const left = await readEdited(ctx, target, edited);
    if (left.length === 0) return cleared;
    if (pass >= LEAST_PASSES && performance.now() - started > LIMIT_MS) throw rowsLocked(resolved, left, step);
    const pause = Math.min(LONGEST_PAUSE_MS, PAUSE_MS * pass);
    await sleep(pause, undefined, ctx.signal === undefined ? {} : { signal: ctx.signal }).catch(() => undefined);
  }
}

/** By whichever model: what it made of another text is no good to it either. */
function editedRows(target: VectorTarget): Edited | undefined {
  if (target.provenance === undefined) return undefined;
  const { model, hash, at } = target.provenance;
  const by = `t.${quoteIdentifier(model)}`;
  const another = `t.${quoteIdentifier(hash)} IS DISTINCT FROM ${textHashSql(target.text, 't')}`;
  return {
    // The trigger may have marked it already; of a text that is NULL now the missing hash alone would tell nothing. A mark without a vector stays:
    // it keeps an adapter from mapping an old vector that is of the former text.
    condition: `t.${quoteIdentifier(target.column)} IS NOT NULL AND ${by} IS NOT NULL AND (${by} = ${STALE_MODEL} OR ${another})`,
    // The vector as well: a row whose text is blank now will never get another, and would be found by the text that it lost.
    clear: [
      ...[target.column, hash, at].map((name) => `${quoteIdentifier(name)} = NULL`),
      // Whether the application has written another old vector since is not known: the text is embedded.
      `${quoteIdentifier(model)} = CASE WHEN ${adaptedSql(target, 't')} THEN ${STALE_MODEL} END`,
    ].join(', '),
  };
}

async function clearUnlocked(
  ctx: MigrationContext,
  target: VectorTarget,
  { condition, clear }: Edited,
): Promise<number> {
  const { rowCount } = await ctx.db.query(
    `WITH l AS MATERIALIZED (SELECT t.tableoid AS part, t.ctid AS place FROM ${tableSql(target)} t WHERE ${condition} FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE ${tableSql(target)} t SET ${clear} FROM l WHERE t.ctid = l.place AND t.tableoid = l.part`,
  );
  return rowCount;
}

async function readEdited(ctx: MigrationContext, target: VectorTarget, { condition }: Edited): Promise<string[]> {
  const { rows } = await ctx.db.query<{ key: readonly string[] }>(
    `SELECT ${keyJsonSql(target, 't')} AS key FROM ${tableSql(target)} t WHERE ${condition} LIMIT ${COUNTED_ROWS + 1}`,
  );
  return rows.map((row) => row.key.join('/'));
}

function rowsLocked({ table }: ResolvedMigration, keys: readonly string[], step: Step): BusyError {
  const count = keys.length > COUNTED_ROWS ? `more than ${COUNTED_ROWS}` : String(keys.length);
  return new BusyError(
    'rows_locked',
    `${count} ${plural(keys.length, 'row')} of ${table.schema}.${table.name} whose text was edited ${plural(keys.length, 'was', 'were')} locked at every look for ${LIMIT_MS / 1000} s: ${keys.slice(0, SHOWN_ROWS).join(', ')}.`,
    {
      step,
      hint: 'End or wait for the sessions that hold them, then run the same command again: it goes on where it stopped.',
      context: { rows: keys.length },
    },
  );
}
