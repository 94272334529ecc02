import type { Patch } from './build-project.ts';
import { BACKFILL, EXPAND, FILL, ROLLBACK, SWAP } from './commands.ts';
import type { Count } from './judge.ts';
import type { WrittenRun } from './plan-run.ts';

/** A bug that a hand might slip into the product, the run that must find it, and by what. */
export interface PlantedBug {
  readonly name: string;
  readonly patch: Patch;
  readonly run: WrittenRun;
  readonly found: Count;
  /** Of what is reported. */
  readonly by: RegExp;
}

const chain: WrittenRun['stages'] = [[EXPAND], [FILL], [SWAP]];
const thereAndBack: WrittenRun['stages'] = [[EXPAND], [FILL], [SWAP], [ROLLBACK], [SWAP]];

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'a batch is written whatever its rows say now',
    patch: {
      file: 'src/sql/batch-write.ts',
      find: 'return versioned === true ? `(${sameVersion} OR ${sameHash})` : sameHash;',
      replace: 'return `(true OR ${sameHash}${versioned === true ? ` OR ${sameVersion}` : ""})`;',
    },
    run: { seed: 11, habits: 'text-only', remote: true, stages: [[EXPAND], [BACKFILL], [FILL], [SWAP]] },
    found: 'stale',
    by: /has a vector of another text|of a text that it lost/,
  },
  {
    name: 'the trigger never fires',
    patch: {
      file: 'src/sql/trigger.ts',
      find: 'FOR EACH ROW WHEN (${condition})',
      replace: 'FOR EACH ROW WHEN (false AND (${condition}))',
    },
    run: { seed: 12, habits: 'text-only', stages: chain },
    found: 'stale',
    by: /has a vector of another text/,
  },
  {
    name: "an answer's order is taken for the texts'",
    patch: {
      file: 'src/providers/remote/read-vectors.ts',
      find: 'for (const [place, { index = place, values }] of wire.entries()) {',
      replace: 'for (const [index, { values }] of wire.entries()) {',
    },
    run: {
      seed: 13,
      habits: 'text-only',
      remote: true,
      stages: [[EXPAND], [FILL, 'misordered answers in fill'], [SWAP]],
    },
    found: 'mixed',
    by: /has the vector of/,
  },
  {
    name: 'a vector goes to the next row of its batch',
    patch: {
      file: 'src/backfill/process-window.ts',
      find: 'const produced = batch.rows[i];',
      replace: 'const produced = batch.rows[(i + 1) % batch.rows.length];',
    },
    run: { seed: 14, habits: 'text-only', stages: chain },
    found: 'mixed',
    by: /has the vector of/,
  },
  {
    name: 'the kept vectors do not follow their text',
    patch: {
      file: 'src/sql/trigger.ts',
      find: "${kept === undefined ? '' : clearSql(kept)} ELSE",
      replace: "${kept === undefined ? '' : ''} ELSE",
    },
    run: { seed: 15, habits: 'aware', stages: thereAndBack },
    found: 'stale',
    by: /after the rollback|has a vector of another text/,
  },
  {
    name: 'an edit after the swap leaves no mark',
    patch: {
      file: 'src/sql/trigger.ts',
      find: '`ELSE ${setProvenanceSql(target, String(STALE_MODEL))} END IF;`',
      replace: '`END IF;`',
    },
    run: { seed: 16, habits: 'text-only', stages: chain },
    found: 'stale',
    by: /has a vector of another text/,
  },
  {
    name: 'the trigger does not move with the columns',
    patch: {
      file: 'src/swap/exchange.ts',
      find: "await tx.query([...watching, ...columns, ...indexes.statements, ...trigger].join(';\\n'));",
      replace:
        "await tx.query([...watching, ...columns, ...indexes.statements, ...(trigger.length < 0 ? trigger : [])].join(';\\n'));",
    },
    run: { seed: 17, habits: 'text-only', stages: chain },
    found: 'errors',
    by: /of the application: 42703/,
  },
  {
    name: 'the state says "swapped" before the exchange is committed',
    patch: {
      file: 'src/swap/exchange.ts',
      find: "  await updateRecord(tx, stateSchema, record.id, {\n    phase: 'swapped',",
      replace: "  await updateRecord(ctx.db, stateSchema, record.id, {\n    phase: 'swapped',",
    },
    run: { seed: 18, habits: 'aware', stages: [[EXPAND], [FILL], [SWAP, 'COMMIT of the exchange lost in build']] },
    found: 'left',
    by: /does not recover|the vector columns|does not exist/,
  },
  {
    name: 'the state forgets the kept column',
    patch: {
      file: 'src/swap/exchange.ts',
      find: '    keptColumn,\n    newIndexes',
      replace: '    keptColumn: null,\n    newIndexes',
    },
    run: { seed: 19, habits: 'aware', stages: chain },
    found: 'left',
    by: /the kept column is null/,
  },
  {
    name: 'the lock of a dead migration is never freed',
    patch: {
      file: 'src/migrations/release-stale-lock.ts',
      find: "now.every((row) => row.expired) ? 'dead' : 'wait'",
      replace: "now.length < 0 ? 'dead' : 'unknown'",
    },
    run: { seed: 20, habits: 'text-only', stages: [[EXPAND], [FILL, 'kill -9 in fill'], [SWAP]] },
    found: 'left',
    by: /asked for "knex migrate:unlock"/,
  },
];
