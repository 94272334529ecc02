import { ConfigError } from '../errors.ts';
import type { SqlFragment } from '../sql/filter.ts';
import type { KnexTransactions } from './client/types.ts';
import { type PoolClientLike, transactionsOf } from './transactions-of.ts';

/** What is needed of a knex. */
export interface KnexLike<Builder> {
  readonly client: {
    readonly config?: { readonly client?: unknown };
    acquireConnection(): Promise<unknown>;
    releaseConnection(connection: unknown): Promise<unknown>;
  };
  readonly isTransaction?: boolean | undefined;
  queryBuilder(): Builder;
}

/** A connection of knex's pool: a client of `pg`, with the mark by which knex lets one go. */
type KnexConnection = Omit<PoolClientLike, 'release'> & { __knex__disposed?: unknown };

const DIALECTS: readonly string[] = ['pg', 'postgres', 'postgresql', 'pgnative'];

/**
 * An application's own knex as a source of transactions. Only connections are taken from its pool: its `postProcessResponse` and
 * `wrapIdentifier` do not see reembed's statements, while filters are compiled by it, so that they do apply there.
 *
 * @throws ConfigError `not_postgres`; `in_transaction` for a transaction, whose end is not ours to decide
 */
export function transactionsOfKnex<Builder>(knex: KnexLike<Builder>): KnexTransactions<Builder> {
  const dialect = String(knex.client.config?.client ?? '');
  if (!DIALECTS.includes(dialect)) {
    throw new ConfigError('not_postgres', `transactionsOfKnex needs knex's client "pg", this knex has "${dialect}".`, {
      hint: 'Set client: "pg".',
    });
  }
  if (knex.isTransaction === true) {
    throw new ConfigError('in_transaction', 'transactionsOfKnex was given a transaction instead of the knex itself.', {
      hint: 'Give it the knex that the application made at its start.',
    });
  }
  const { client } = knex;
  const source = transactionsOf({
    async connect() {
      const connection = (await client.acquireConnection()) as KnexConnection;
      return {
        query: (text, params) => connection.query(text, params),
        release(destroy) {
          if (destroy === true) connection.__knex__disposed = 'reembed has given it up';
          void client.releaseConnection(connection);
        },
        on: (event, listener) => connection.on?.(event, listener),
        off: (event, listener) => connection.off?.(event, listener),
      };
    },
  });
  return { ...source, compileFilter: (filter) => compileFilter(knex, filter) };
}

const PREFIX = 'select * where ';

/** What a compiled query of knex says of itself. */
interface Compiled {
  /** With `?` for values, and `\?` for question marks. */
  readonly sql: string;
  toNative(): { readonly bindings: readonly unknown[] };
}

function compileFilter<Builder>(knex: KnexLike<Builder>, filter: (builder: Builder) => void): SqlFragment {
  const builder = knex.queryBuilder();
  filter(builder);
  const { sql, toNative } = bound((builder as { toSQL(): Compiled }).toSQL());
  if (sql === 'select *') return { parts: ['true'], params: [] };
  if (!sql.startsWith(PREFIX)) {
    throw new ConfigError('not_a_condition', `The knex callback of a filter says more than conditions: ${sql}.`, {
      hint: "Call where() and its kin only: (builder) => builder.where('lang', 'en').",
    });
  }
  const parts = splitAtValues(sql.slice(PREFIX.length));
  const { bindings } = toNative();
  if (bindings.length !== parts.length - 1) throw new RangeError(`knex compiled ${bindings.length} values for: ${sql}`);
  return { parts, params: bindings };
}

function bound(compiled: Compiled): Pick<Compiled, 'sql' | 'toNative'> {
  return { sql: compiled.sql, toNative: () => compiled.toNative() };
}

/** As knex itself numbers them (`positionBindings`): a question mark behind an odd number of backslashes is a character. */
function splitAtValues(sql: string): string[] {
  const parts: string[] = [''];
  const append = (text: string): void => {
    parts.push(`${parts.pop() ?? ''}${text}`);
  };
  let from = 0;
  for (const match of sql.matchAll(/(\\*)(\?)/g)) {
    append(sql.slice(from, match.index));
    if ((match[1]?.length ?? 0) % 2 === 1) append('?');
    else parts.push('');
    from = match.index + match[0].length;
  }
  append(sql.slice(from));
  return parts;
}
