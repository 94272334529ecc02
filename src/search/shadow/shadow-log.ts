import { SQLSTATE, sqlStateOf } from '../../db/sqlstate.ts';
import { messageOf } from '../../errors.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { insertShadowSql, pruneShadowSql, shadowTable } from '../../sql/shadow-log.ts';
import type { TransactionSource } from '../active-model.ts';
import type { ShadowRow } from './types.ts';

export interface ShadowLogOptions {
  readonly migrationId: string;
  readonly db: TransactionSource;
  readonly stateSchema: string;
  readonly keepDays: number;
  readonly keepSearches: number;
  /** Told of each batch that could not be written; `isFinal` where no later try will do better. */
  readonly onRefused: (rows: number, message: string, isFinal: boolean) => void;
  readonly onWritten: (rows: number) => void;
}

const BATCH = 50;
const WRITE_AFTER_MS = 5_000;
/** Rows that are written between two looks at how long the log has become. */
const PRUNE_EVERY = 1000;
const FOREIGN_KEY_VIOLATION = '23503';

/** Collects rows and writes them a batch at a time, at the latest after some seconds. Never rejects. */
export class ShadowLog {
  readonly #options: ShadowLogOptions;
  #rows: ShadowRow[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** At the first batch the log is pruned too, so that a missing right shows at once. */
  #untilPrune = 0;

  constructor(options: ShadowLogOptions) {
    this.#options = options;
  }

  add(row: ShadowRow): void {
    this.#rows.push(row);
    if (this.#rows.length >= BATCH) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), WRITE_AFTER_MS).unref();
  }

  /** Resolves when all that was added is written, or has been refused. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const rows = this.#rows;
    this.#rows = [];
    if (rows.length > 0) this.#writing = this.#writing.then(() => this.#write(rows));
    return this.#writing;
  }

  async #write(rows: readonly ShadowRow[]): Promise<void> {
    const { migrationId, db, stateSchema, keepDays, keepSearches } = this.#options;
    try {
      await db.transaction(async (tx) => {
        const now = performance.now();
        const aged = rows.map(({ at, ...row }) => ({ ...row, age: now - at }));
        await tx.query(insertShadowSql(stateSchema), [migrationId, JSON.stringify(aged)]);
        if (this.#untilPrune > 0) return;
        await tx.query(pruneShadowSql(stateSchema), [migrationId, keepDays, keepSearches]);
      });
      this.#untilPrune = this.#untilPrune > 0 ? this.#untilPrune - rows.length : PRUNE_EVERY;
      this.#options.onWritten(rows.length);
    } catch (error) {
      const final = finalRefusal(error, this.#options);
      this.#options.onRefused(
        rows.length,
        final ?? `The shadow's log was not written: ${messageOf(error)}`,
        final !== undefined,
      );
    }
  }
}

/** What no later try will change, as a sentence with what to do about it. */
function finalRefusal(
  error: unknown,
  { stateSchema, migrationId }: Pick<ShadowLogOptions, 'stateSchema' | 'migrationId'>,
): string | undefined {
  const table = shadowTable(stateSchema);
  switch (sqlStateOf(error)) {
    case SQLSTATE.insufficientPrivilege:
      return (
        `This role may not write ${table}, so no search is shadowed. Run "GRANT USAGE ON SCHEMA ${quoteIdentifier(stateSchema)} TO <role>; ` +
        `GRANT SELECT, INSERT, DELETE ON ${table} TO <role>;".`
      );
    case SQLSTATE.undefinedTable:
    case SQLSTATE.invalidSchemaName:
    case FOREIGN_KEY_VIOLATION:
      return `The migration "${migrationId}" is not in ${table}'s database, so no search is shadowed. Run "reembed up --to 005" first.`;
    default:
      return undefined;
  }
}
