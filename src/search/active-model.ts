import type { MigrationDefinition } from '../config/types.ts';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { DatabaseError, messageOf } from '../errors.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { StoredFingerprint } from '../state/models.ts';
import { assertSameModel } from './same-model.ts';
import { vectorLiteral } from './vector-literal.ts';

/** Anything that runs a function in a transaction: reembed's own Database, or an application's pool through `transactionsOf`. */
export interface TransactionSource {
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
}

/** Texts to vectors of one model, in order; e.g. `EmbeddingsService.encodeTexts`. */
export type EncodeTexts = (
  texts: readonly string[],
  options: { readonly kind: 'document' | 'query' },
) => Promise<readonly ArrayLike<number>[]>;

/** An encoder that says which model it is, e.g. an `EmbeddingsService`: refused when the vectors are another model's. */
export interface NamedEncoder {
  readonly model: ModelFingerprint;
  encodeTexts(...args: Parameters<EncodeTexts>): ReturnType<EncodeTexts>;
}

export interface ActiveModelOptions {
  /** The migration as `reembed.config.ts` pins it. */
  readonly migration: Pick<MigrationDefinition, 'id' | 'column'>;
  /** The encoders of both models; only the active one's is called. */
  readonly encoders: { readonly old: EncodeTexts | NamedEncoder; readonly new: EncodeTexts | NamedEncoder };
  /** `reembed` unless REEMBED_STATE_SCHEMA says otherwise. */
  readonly stateSchema?: string;
}

/** What a request works with: all of one model. */
export interface ActiveModel {
  readonly side: 'old' | 'new';
  /** The application's vector column, quoted. */
  readonly column: string;
  /** A text as the active model's vector, in the text form that pgvector takes as a parameter. A query unless said otherwise. */
  readonly encode: (text: string, kind?: 'document' | 'query') => Promise<string>;
  /** The transaction in which every statement of the request belongs. */
  readonly db: Queryable;
}

/**
 * Runs a request, reading or writing, with the model whose vectors the application's column holds. The active model is a row of
 * the state, read in the request's own transaction and once more at its end: when a swap came between, or showed itself
 * as an error, everything is rolled back and done once more with the other model.
 *
 * `work` may run twice; it must do nothing that a rollback does not undo.
 *
 * @throws DatabaseError `state_denied` when the application's role may not read the state; ModelError `model_differs` when an
 *   encoder that says its model is not the one of the new vectors
 */
export async function withActiveModel<T>(
  db: TransactionSource,
  options: ActiveModelOptions,
  work: (active: ActiveModel) => Promise<T>,
): Promise<T> {
  return retryAfterSwap(() => db.transaction((tx) => attempt(tx, options, work)));
}

async function attempt<T>(
  tx: Queryable,
  options: ActiveModelOptions,
  work: (active: ActiveModel) => Promise<T>,
): Promise<T> {
  const schema = options.stateSchema ?? 'reembed';
  // In a snapshot of the whole transaction the last look below would see nothing new.
  await tx.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
  const side = await readActiveSide(tx, schema, options.migration.id);
  const encoder = await checkedEncoder(tx, schema, options, side);
  const result = await work({
    side,
    column: quoteIdentifier(options.migration.column),
    encode: async (text, kind = 'query') => {
      const [vector] = await encoder([text], { kind });
      if (vector === undefined) throw new RangeError('the encoder returned no vector');
      return vectorLiteral(vector);
    },
    db: tx,
  });
  await refuseSwapSince(tx, schema, options.migration.id, side);
  return result;
}

/** The side's encoder. Whose the old vectors are nobody has recorded, and a bare function says nothing of its model. */
async function checkedEncoder(
  tx: Queryable,
  stateSchema: string,
  { encoders, migration }: ActiveModelOptions,
  side: 'old' | 'new',
): Promise<EncodeTexts> {
  const encoder = encoders[side];
  if (typeof encoder === 'function') return encoder;
  if (side === 'new') {
    const served = await readServedModel(tx, stateSchema, migration.id);
    assertSameModel(migration.column, served, encoder.model);
  }
  return (texts, options) => encoder.encodeTexts(texts, options);
}

async function readServedModel(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
): Promise<StoredFingerprint | undefined> {
  const models = `${quoteIdentifier(stateSchema)}.models`;
  try {
    const { rows } = await db.query<{ fingerprint: StoredFingerprint }>(
      `SELECT m.fingerprint FROM ${models} m JOIN ${quoteIdentifier(stateSchema)}.migrations g ON g.model_id = m.id WHERE g.id = $1`,
      [migrationId],
    );
    return rows[0]?.fingerprint;
  } catch (cause) {
    throw deniedOr(cause, stateSchema, models, 'says which model made the vectors');
  }
}

/** For whoever reads more of the state than one table. */
export function stateDenied(stateSchema: string, cause: unknown): DatabaseError {
  const s = quoteIdentifier(stateSchema);
  return new DatabaseError(
    'state_denied',
    `This role may not search by the state in schema ${s}: ${messageOf(cause)}.`,
    {
      hint: `Run "GRANT USAGE ON SCHEMA ${s} TO <role>; GRANT SELECT ON ${s}.migrations, ${s}.models, ${s}.quarantine TO <role>;", and let the role read the table itself.`,
      cause,
    },
  );
}

function deniedOr(cause: unknown, stateSchema: string, table: string, what: string): unknown {
  if (sqlStateOf(cause) !== SQLSTATE.insufficientPrivilege) return cause;
  return new DatabaseError('state_denied', `This role may not read ${table}, which ${what}.`, {
    hint: `Run "GRANT USAGE ON SCHEMA ${quoteIdentifier(stateSchema)} TO <role>; GRANT SELECT ON ${table} TO <role>;".`,
    cause,
  });
}

/** Whose vectors the application's column holds; `old` where the migration has not begun. @throws DatabaseError `state_denied` */
export async function readActiveSide(db: Queryable, stateSchema: string, migrationId: string): Promise<'old' | 'new'> {
  const table = `${quoteIdentifier(stateSchema)}.migrations`;
  try {
    const { rows: found } = await db.query<{ found: boolean }>(
      'SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found',
      [table],
    );
    if (found[0]?.found !== true) return 'old';
    const { rows } = await db.query<{ active: 'old' | 'new' }>(`SELECT active FROM ${table} WHERE id = $1`, [
      migrationId,
    ]);
    return rows[0]?.active ?? 'old';
  } catch (cause) {
    throw deniedOr(cause, stateSchema, table, 'says which model is active');
  }
}

/**
 * The table was read under a lock that holds the swap off until this transaction's end: when the active side is what it was, all
 * of the request saw one model.
 */
export async function refuseSwapSince(
  tx: Queryable,
  stateSchema: string,
  migrationId: string,
  side: 'old' | 'new',
): Promise<void> {
  if ((await readActiveSide(tx, stateSchema, migrationId)) === side) return;
  throw new DatabaseError(
    'active_model_changed',
    `The migration "${migrationId}" changed the model during a request.`,
    {
      hint: 'Repeat the request.',
    },
  );
}

/** Runs `work` again, once, when it met a swap. */
export async function retryAfterSwap<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!metSwap(error)) throw error;
    return work();
  }
}

const FEATURE_NOT_SUPPORTED = '0A000';

/** A prepared statement whose result type a swap has changed. */
export function isStalePlan(error: unknown): boolean {
  return sqlStateOf(error) === FEATURE_NOT_SUPPORTED && /cached plan must not change/.test(messageOf(error));
}

/** What a swap looks like to a request that it overtook. */
export function metSwap(error: unknown): boolean {
  if (error instanceof DatabaseError && error.code === 'active_model_changed') return true;
  if (isStalePlan(error)) return true;
  switch (sqlStateOf(error)) {
    case SQLSTATE.dataException:
      return /different (?:vector|halfvec) dimensions|expected \d+ dimensions/.test(messageOf(error));
    case SQLSTATE.undefinedColumn:
      return true;
    default:
      return false;
  }
}
