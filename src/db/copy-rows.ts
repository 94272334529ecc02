import pg from 'pg';
import { asUnanswered } from './run-query.ts';

/** A COPY whose rows are handed on as they come; `pg` has the hook for it, though its type declarations do not. */
class CopyOut extends pg.Query {
  readonly #onRow: (row: Buffer) => void;
  #failure: unknown;

  constructor(sql: string, onRow: (row: Buffer) => void) {
    super(sql);
    this.#onRow = onRow;
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    // Thrown here, it would end the process. What the server still sends is met with silence.
    if (this.#failure !== undefined) return;
    try {
      this.#onRow(chunk);
    } catch (error) {
      this.#failure = error;
    }
  }

  /** What `onRow` threw. */
  failure(): unknown {
    return this.#failure;
  }
}

/**
 * Runs a `COPY … TO STDOUT`. Unlike a stream it does not make the server wait: what is asked for is to fit into memory.
 *
 * @param onRow gets each row's message, whose memory is its own only until it returns. In binary form the first begins with the header, and the last is the
 *   trailer. Source: Postgres' documentation, Message Flow, COPY Operations: the messages from the backend are a row each.
 * @param answerWithinMs as of `runQuery`
 */
export async function copyRows(
  client: pg.ClientBase,
  sql: string,
  onRow: (row: Buffer) => void,
  answerWithinMs: number | undefined,
): Promise<void> {
  const query = new CopyOut(sql, onRow);
  if (answerWithinMs !== undefined) Object.assign(query, { query_timeout: Math.ceil(answerWithinMs) });
  await new Promise<void>((resolve, reject) => {
    const callback = (error: Error | null | undefined): void =>
      error ? reject(asUnanswered(error, answerWithinMs)) : resolve();
    Object.assign(query, { callback });
    client.query(query);
  });
  const failure = query.failure();
  if (failure !== undefined) throw failure;
}
