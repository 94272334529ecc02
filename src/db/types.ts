/** Rows as objects. bigint arrives as string, bytea as Buffer, json parsed, timestamps as ISO strings; see `types.ts` of this folder. */
export interface QueryResult<R> {
  readonly rows: R[];
  readonly rowCount: number;
}

export interface Queryable {
  /** Buffers and Uint8Arrays travel as binary parameters, all else as text. */
  query<R = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<R>>;
}

export interface ListenCallbacks {
  readonly onNotify: () => void;
  readonly onLost: () => void;
}

/** One session of its own, not from the pool. */
export interface Session extends Queryable {
  /** The backend's process id. */
  readonly pid: number;
  /** As of `Queryable`; without an answer within the given time the session is of no use but to be closed. */
  query<R = Record<string, unknown>>(
    text: string,
    params?: readonly unknown[],
    options?: { readonly answerWithinMs?: number },
  ): Promise<QueryResult<R>>;
  /** Calls back at every NOTIFY on the channel, and once when the connection is lost. */
  listen(channel: string, callbacks: ListenCallbacks): Promise<void>;
  /** Whether this connection alone keeps the process running (it does, unless said otherwise). */
  keepProcess(keep: boolean): void;
  /**
   * What a `COPY … TO STDOUT` sends, as it comes; the server waits where it is read slowly. One that is not read to its end leaves the
   * session of no use but to be closed. Not on the embedded database.
   */
  copyOut(sql: string): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

export interface StatementOptions {
  /** `statement_timeout` of this statement, instead of the connections' own. */
  readonly statementTimeoutMs?: number;
}

export interface TransactionOptions {
  readonly lockTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
}

/** reembed's own connections. On the embedded database all of them share one session: never wait for one inside another's transaction. */
export interface Database extends Queryable {
  readonly embedded: boolean;
  /** Host, port and database for messages; never the password. */
  readonly description: string;
  query<R = Record<string, unknown>>(
    text: string,
    params?: readonly unknown[],
    options?: StatementOptions,
  ): Promise<QueryResult<R>>;
  /** The rows of a `COPY … TO STDOUT` as they come, see `copyRows`. Not on the embedded database. */
  copyRows(sql: string, onRow: (row: Buffer) => void): Promise<void>;
  /** BEGIN … COMMIT on a pooled connection; rolled back when `work` throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** A session of its own, for CREATE INDEX CONCURRENTLY, leases and LISTEN. The caller closes it. */
  openSession(): Promise<Session>;
  close(): Promise<void>;
}

/** What `pg` needs to connect. */
export interface ConnectionSettings {
  readonly connectionString?: string;
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string | (() => string | Promise<string>);
  readonly database?: string;
  readonly ssl?: unknown;
  readonly options?: string;
  /** True when this is the embedded Postgres. */
  readonly embedded: boolean;
}

/** A running embedded Postgres and how to reach it. */
export interface EmbeddedServer {
  readonly settings: ConnectionSettings;
  /** The directory of the data, absolute. */
  readonly dataDir: string;
  stop(): Promise<void>;
}
