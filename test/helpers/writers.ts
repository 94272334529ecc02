import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../../src/db/types.ts';
import { openObserver } from './fault-bed.ts';
import { createRandom, type Random } from './fault-random.ts';

export interface WriterOptions {
  readonly seed: number;
  /** Clients that edit rows one by one; one more makes bulk updates. */
  readonly clients?: number;
  /** Milliseconds between two statements of a client. */
  readonly pauseMs?: number;
  /** Milliseconds between two bulk updates of about a hundred rows; shorter, and nobody can embed as fast as they write. */
  readonly bulkPauseMs?: number;
}

export interface WriterResult {
  readonly statements: number;
  /** What the application saw go wrong: nothing, if reembed keeps its promise. */
  readonly errors: readonly string[];
  /** What every row's text must be by what was committed. */
  readonly texts: ReadonlyMap<string, string | null>;
  /** Rows whose last write came after the columns were exchanged. */
  readonly writtenAfterSwap: ReadonlySet<string>;
}

export interface Writers {
  /** Statements committed so far. */
  count(): number;
  stop(): Promise<WriterResult>;
}

interface Book {
  readonly texts: Map<string, string | null>;
  readonly writtenAfterSwap: Set<string>;
  readonly errors: string[];
  statements: number;
  stopped: boolean;
}

/**
 * An application that goes on writing: it knows `id` and `text` only. Every row belongs to one client (the last to the bulk
 * updates), so that what is committed last is known for each row.
 */
export async function startWriters(url: string, options: WriterOptions): Promise<Writers> {
  const { clients = 3, pauseMs = 2, bulkPauseMs = 200, seed } = options;
  const owners = clients + 1;
  const book: Book = { texts: new Map(), writtenAfterSwap: new Set(), errors: [], statements: 0, stopped: false };
  const connections = await Promise.all(Array.from({ length: owners }, () => openObserver(url)));
  const [first] = connections;
  if (first === undefined) throw new RangeError('no clients');
  const { rows } = await first.query<{ id: string; text: string | null }>('SELECT id, text FROM segments');
  for (const row of rows) book.texts.set(row.id, row.text);
  const lastId = Math.max(0, ...[...book.texts.keys()].map(Number));
  const working = connections.map((connection, owner) => {
    const random = createRandom(seed + owner);
    const mine = [...book.texts.keys()].filter((id) => Number(id) % owners === owner);
    if (owner === clients) return repeat(bulk(connection, random, book, { owners, lastId }), book, bulkPauseMs);
    return repeat(single(connection, random, book, mine), book, pauseMs);
  });
  return {
    count: () => book.statements,
    async stop() {
      book.stopped = true;
      await Promise.all(working);
      await Promise.all(connections.map((connection) => connection.close()));
      return book;
    },
  };
}

/** Which column goes by the application's name in the very statement that writes: after the exchange it is another one. */
const SWAPPED = `(SELECT attname <> 'embedding' FROM pg_attribute WHERE attrelid = 'segments'::regclass AND attnum = 3) AS swapped`;

interface Written {
  readonly id: string;
  readonly text: string | null;
  readonly swapped: boolean;
}

function note(book: Book, row: Written): void {
  book.texts.set(row.id, row.text);
  if (row.swapped) book.writtenAfterSwap.add(row.id);
  else book.writtenAfterSwap.delete(row.id);
}

async function repeat(act: () => Promise<void>, book: Book, pauseMs: number): Promise<void> {
  while (!book.stopped) {
    try {
      await act();
      book.statements++;
    } catch (error) {
      book.errors.push(String(error));
    }
    await sleep(pauseMs);
  }
}

/** Edits, A → B → A, empty texts, inserts, deletes and writes beside the text, on rows of its own. */
function single(db: Queryable, random: Random, book: Book, mine: string[]): () => Promise<void> {
  async function setText(id: string, text: string | null): Promise<void> {
    const { rows } = await db.query<Written>(
      `UPDATE segments SET text = $2 WHERE id = $1 RETURNING id, text, ${SWAPPED}`,
      [id, text],
    );
    for (const row of rows) note(book, row);
  }
  return async () => {
    const dice = random.next();
    if (mine.length === 0 || dice < 0.2) {
      const text = sentence(random);
      const { rows } = await db.query<Written>(
        `INSERT INTO segments (text) VALUES ($1) RETURNING id, text, ${SWAPPED}`,
        [text],
      );
      for (const row of rows) {
        note(book, row);
        mine.push(row.id);
      }
      return;
    }
    const at = random.whole(0, mine.length - 1);
    const id = mine[at] ?? '';
    if (dice < 0.3) {
      await db.query('DELETE FROM segments WHERE id = $1', [id]);
      book.texts.delete(id);
      book.writtenAfterSwap.delete(id);
      mine.splice(at, 1);
    } else if (dice < 0.5) {
      const before = book.texts.get(id) ?? null;
      await setText(id, sentence(random));
      await setText(id, before);
    } else if (dice < 0.55) {
      await setText(id, random.pick([null, '', '   ']));
    } else if (dice < 0.6) {
      await db.query('UPDATE segments SET text = text WHERE id = $1', [id]);
    } else {
      await setText(id, sentence(random));
    }
  };
}

/** Many rows in one statement: a held batch would make it wait, and a batch that waits for it would deadlock. */
function bulk(
  db: Queryable,
  random: Random,
  book: Book,
  rows: { readonly owners: number; readonly lastId: number },
): () => Promise<void> {
  return async () => {
    const changed = await db.query<Written>(
      `UPDATE segments SET text = 'bulk ' || $1::text || ' of row ' || id
       WHERE id BETWEEN $2::bigint AND $2::bigint + 400 AND id % $3::bigint = $3::bigint - 1 AND id <= $4::bigint RETURNING id, text, ${SWAPPED}`,
      [sentence(random), random.whole(1, rows.lastId), rows.owners, rows.lastId],
    );
    for (const row of changed.rows) note(book, row);
  };
}

function sentence(random: Random): string {
  return `words ${random.whole(1, 1e9).toString(36)} and ${random.whole(1, 1e9).toString(36)} about ${random.whole(1, 50)}`;
}

/** Rows that are not as the application left them: missing, resurrected, or with another text. */
export async function misplacedRows(db: Queryable, texts: WriterResult['texts']): Promise<string[]> {
  const { rows } = await db.query<{ id: string; text: string | null }>('SELECT id::text AS id, text FROM segments');
  const found = new Map(rows.map((row) => [row.id, row.text]));
  const lost = [...texts.keys()].filter((id) => !found.has(id)).map((id) => `${id} is lost`);
  const unexpected = [...found.keys()].filter((id) => !texts.has(id)).map((id) => `${id} came back`);
  const changed = [...texts].filter(([id, text]) => found.has(id) && found.get(id) !== text);
  return [...lost, ...unexpected, ...changed.map(([id]) => `${id} has another text`)];
}
