import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Random } from '../../helpers/fault-random.ts';
import type { Connection, Request } from './application.ts';
import { isUnanswered, type Outcome } from './book.ts';

/** A client of the application and the rows that only it writes. */
export interface Client {
  readonly owner: number;
  readonly random: Random;
  readonly mine: string[];
  /** The next key that this client gives. */
  next: number;
}

interface Row {
  readonly ref: string;
  readonly id: string;
  readonly text: string | null;
}

/** Which column goes by the application's name in the very statement that writes: after the exchange it is another one. */
const SWAPPED = `(SELECT attname <> 'embedding' FROM pg_attribute WHERE attrelid = 'segments'::regclass AND attnum = 3) AS swapped`;

/** One operation, as an application does them: inserts, edits, A → B → A, blank texts, deletes, other keys, many rows at once, COPY. */
export async function actOnce(app: Connection, client: Client): Promise<void> {
  const { random, mine } = client;
  const dice = random.next();
  if (mine.length < 20 || dice < 0.15) return insert(app, client, [newRow(client)]);
  const ref = random.pick(mine);
  if (dice < 0.22) return remove(app, client, ref);
  if (dice < 0.3) return setKey(app, client, ref);
  if (dice < 0.36) return bulk(app, client);
  if (dice < 0.4) return copy(app, client);
  if (dice < 0.5) return read(app, ref);
  const known = app.book.possible(ref)[0];
  const before = known?.exists === true ? known.text : sentence(random);
  if (dice < 0.6) {
    await setText(app, [{ ref, text: sentence(random) }]);
    return setText(app, [{ ref, text: before }]);
  }
  const blank = dice < 0.66 && app.habits !== 'strict';
  return setText(app, [{ ref, text: blank ? random.pick([null, '', '   ']) : sentence(random) }]);
}

async function insert(app: Connection, client: Client, rows: readonly Row[]): Promise<void> {
  client.mine.push(...rows.map(({ ref }) => ref));
  await write(
    app,
    'insert',
    rows.map((row) => [row.ref, row]),
    async ({ db, encode }) => {
      const found: Returned[] = [];
      for (const { id, ref, text } of rows) {
        const vector = await encode?.(text);
        const written = await db.query<Returned>(
          vector === undefined
            ? `INSERT INTO segments (id, ref, text) VALUES ($1, $2, $3) RETURNING id, ref, ${SWAPPED}`
            : `INSERT INTO segments (id, ref, text, embedding) VALUES ($1, $2, $3, $4::text::vector) RETURNING id, ref, ${SWAPPED}`,
          vector === undefined ? [id, ref, text] : [id, ref, text, vector],
        );
        found.push(...written.rows);
      }
      return found;
    },
  );
}

async function setText(app: Connection, changes: readonly { ref: string; text: string | null }[]): Promise<void> {
  const rows = changes.map(({ ref, text }): [string, Pick<Row, 'text'>] => [ref, { text }]);
  await write(app, 'edit', rows, async ({ db, encode }) => {
    const refs = changes.map(({ ref }) => ref);
    const texts = changes.map(({ text }) => text);
    const vectors = encode === undefined ? undefined : await Promise.all(texts.map(encode));
    const { rows: found } = await db.query<Returned>(
      vectors === undefined
        ? `UPDATE segments s SET text = n.text FROM unnest($1::text[], $2::text[]) AS n(ref, text) WHERE s.ref = n.ref RETURNING s.id, s.ref, ${SWAPPED}`
        : `UPDATE segments s SET text = n.text, embedding = n.vector::vector FROM unnest($1::text[], $2::text[], $3::text[]) AS n(ref, text, vector)
           WHERE s.ref = n.ref RETURNING s.id, s.ref, ${SWAPPED}`,
      vectors === undefined ? [refs, texts] : [refs, texts, vectors],
    );
    return found;
  });
}

/** Many rows in one statement: a held batch would make it wait, and a batch that waits for it would deadlock. */
async function bulk(app: Connection, client: Client): Promise<void> {
  const refs = new Set(Array.from({ length: 40 }, () => client.random.pick(client.mine)));
  await setText(
    app,
    [...refs].map((ref) => ({ ref, text: `bulk ${sentence(client.random)}` })),
  );
}

async function setKey(app: Connection, client: Client, ref: string): Promise<void> {
  const id = String(client.next++);
  await write(app, 'key change', [[ref, { id }]], async ({ db }) => {
    const { rows } = await db.query<Returned>(
      `UPDATE segments SET id = $2 WHERE ref = $1 RETURNING id, ref, false AS swapped`,
      [ref, id],
    );
    return rows;
  });
}

async function remove(app: Connection, client: Client, ref: string): Promise<void> {
  client.mine.splice(client.mine.indexOf(ref), 1);
  const known = app.book.possible(ref)[0];
  await write(app, 'delete', [[ref, undefined]], async ({ db }) => {
    const { rows } = await db.query<Returned>(
      'DELETE FROM segments WHERE ref = $1 RETURNING id, ref, false AS swapped',
      [ref],
    );
    return rows;
  });
  // The key lives on with another text: a batch that was read before must not give it the old one's vector.
  if (known?.exists === true && client.random.chance(0.4) && app.book.possible(ref).length === 1) {
    await insert(app, client, [{ ...newRow(client), id: known.id }]);
  }
}

async function copy(app: Connection, client: Client): Promise<void> {
  const rows = Array.from({ length: 20 }, () => newRow(client));
  client.mine.push(...rows.map(({ ref }) => ref));
  const directory = mkdtempSync(join(tmpdir(), 'reembed-copy-'));
  const path = join(directory, 'rows');
  try {
    chmodSync(directory, 0o755);
    await write(
      app,
      'COPY',
      rows.map((row) => [row.ref, row]),
      async ({ db, encode }) => {
        const lines: string[] = [];
        for (const { id, ref, text } of rows) {
          const vector = await encode?.(text);
          lines.push([id, ref, text, ...(vector === undefined ? [] : [vector])].join('\t'));
        }
        writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o644 });
        await db.query(`COPY segments (id, ref, text${encode === undefined ? '' : ', embedding'}) FROM '${path}'`);
        // COPY returns no rows: whether the exchange came before it is not known.
        return rows.map(({ id, ref }) => ({ id, ref, swapped: encode === undefined }));
      },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Reads what it has written: an acknowledged row that is not there, or has another text, is lost. */
async function read({ book, request }: Connection, ref: string): Promise<void> {
  try {
    const [row] = await request(async ({ db }) => {
      const { rows } = await db.query<{ id: string; text: string | null }>(
        'SELECT id::text AS id, text FROM segments WHERE ref = $1',
        [ref],
      );
      return rows;
    });
    book.reads += 1;
    const fits = book
      .possible(ref)
      .some((one) =>
        one.exists ? row !== undefined && one.id === row.id && one.text === row.text : row === undefined,
      );
    if (!fits) book.contradictions.push(`lost: ${ref} reads ${JSON.stringify(row ?? null)}, which it never became`);
  } catch (error) {
    book.note('read', error);
  }
}

interface Returned {
  readonly id: string;
  readonly ref: string;
  readonly swapped: boolean;
}

/** @param changes by `ref`: what the row becomes; undefined when it goes */
async function write(
  { book, request }: Connection,
  what: string,
  changes: readonly (readonly [string, Partial<Row> | undefined])[],
  work: (request: Request) => Promise<readonly Returned[]>,
): Promise<void> {
  const { epoch } = book;
  const after = (ref: string, change: Partial<Row> | undefined, row: Partial<Returned>): Outcome[] => {
    if (change === undefined) return [{ exists: false }];
    const before = book.possible(ref).filter((one) => one.exists);
    const bases = before.length === 0 ? [undefined] : before;
    return bases.map((base) => {
      const text = change.text === undefined ? (base?.text ?? null) : change.text;
      const id = change.id ?? row.id ?? base?.id ?? '';
      // A write that keeps the text keeps what is known of its vector.
      const keeps = change.text === undefined && base !== undefined;
      return keeps ? { ...base, id } : { exists: true, id, text, afterSwap: row.swapped ?? true, epoch };
    });
  };
  try {
    const found = new Map((await request(work)).map((row) => [row.ref, row]));
    for (const [ref, change] of changes) {
      const row = found.get(ref);
      const mayBeGone = book.possible(ref).some((one) => !one.exists);
      if (row === undefined && !mayBeGone) book.contradictions.push(`lost: ${what} did not find ${ref}`);
      const outcomes = row === undefined ? [{ exists: false } as const] : after(ref, change, row);
      book.acknowledge(ref, outcomes[0] ?? { exists: false });
    }
  } catch (error) {
    book.note(what, error);
    if (!isUnanswered(error)) return;
    for (const [ref, change] of changes) for (const outcome of after(ref, change, {})) book.doubt(ref, outcome);
  }
}

function newRow(client: Client): Row {
  const number = client.next++;
  return { ref: `${client.owner}-${number}`, id: String(number), text: sentence(client.random) };
}

/** Different for every call: two rows with one text are one row twice. */
function sentence(random: Random): string {
  return `words ${random.whole(1, 1e9).toString(36)} and ${random.whole(1, 1e9).toString(36)} about ${random.whole(1, 50)}`;
}
