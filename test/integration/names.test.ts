import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { quoteIdentifier } from '../../src/sql/identifiers.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { checksumOf, type Watched } from '../helpers/oracle.ts';
import { walkChain } from '../helpers/walk-chain.ts';

const q = quoteIdentifier;
const ROWS = 60;
/** 63 bytes each, and alike in the first 60: cut naively, what is made from them would collide. */
const LONG = 'ä'.repeat(30);
const LONG_ONE = `${LONG}one`;
const LONG_TWO = `${LONG}two`;

let chain: Chain;
let backups: string;

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), 'reembed-names-'));
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(backups, { recursive: true, force: true });
});

interface Names {
  readonly schema: string;
  readonly table: string;
  readonly key: string;
  readonly text: string;
  readonly vectors: readonly string[];
  readonly index: string;
}

async function makeTable({ schema, table, key, text, vectors, index }: Names): Promise<Watched> {
  const name = `${q(schema)}.${q(table)}`;
  const columns = vectors.map((vector) => `${q(vector)} vector(8)`).join(', ');
  await chain.db.query(`CREATE SCHEMA IF NOT EXISTS ${q(schema)}`);
  await chain.db.query(
    `CREATE TABLE ${name} (${q(key)} int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ${q(text)} text, ${columns})`,
  );
  const values = vectors.map(() => '(SELECT array_agg(i + n + random()) FROM generate_series(1, 8) n)::vector');
  await chain.db.query(
    `INSERT INTO ${name} (${[text, ...vectors].map(q).join(', ')})
     SELECT 'text ' || md5(i::text), ${values.join(', ')} FROM generate_series(1, ${ROWS}) i`,
  );
  await chain.db.query(`CREATE INDEX ${q(index)} ON ${name} USING hnsw (${q(vectors[0] ?? '')} vector_cosine_ops)`);
  return { table: name, key: q(key), text: q(text) };
}

async function indexDefinition(schema: string, index: string): Promise<string | undefined> {
  const { rows } = await chain.db.query<{ def: string }>(
    `SELECT pg_get_indexdef(c.oid) AS def FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_index i ON i.indexrelid = c.oid AND i.indisvalid WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, index],
  );
  return rows[0]?.def;
}

describe('names that need quoting', () => {
  const names: Names = {
    schema: 'My App',
    table: 'Seg.ments "x"',
    key: 'Row ID',
    text: 'the "text"; --',
    vectors: ["Em'bed $1 ding"],
    index: 'Idx "of" Em.bedding',
  };
  const column = names.vectors[0] ?? '';

  it('go up, down and up again, with a state schema that needs quoting too', async () => {
    const watched = await makeTable(names);
    const ctx = chain.context(
      { id: 'names', table: '"My App"."Seg.ments ""x"""', text: names.text, column },
      { backupDir: backups, stateSchema: 'Re"embed State' },
    );
    await walkChain(ctx, watched, `${q(names.text)}, ${q(column)}`);
    expect(await indexDefinition(names.schema, names.index)).toContain(`(${q(column)} vector_cosine_ops)`);
    expect(await readStatus(ctx)).toMatchObject({
      keptColumn: `${column}_old`,
      table: `${names.schema}.${names.table}`,
    });

    const old = await checksumOf(chain.db, watched, q(`${column}_old`));
    const { backup } = await finalize(ctx, { now: true });
    await restore(ctx, { path: backup?.path ?? '' });
    expect(await checksumOf(chain.db, watched, q(`${column}_old`))).toBe(old);
    await undoCutOver(ctx);
    expect(await checksumOf(chain.db, watched, q(column))).toBe(old);
  });
});

describe('names of 63 bytes', () => {
  it('two columns that differ in their last bytes only, side by side, with ids that do likewise', async () => {
    const names: Names = {
      schema: `${LONG}sch`,
      table: `${LONG}tab`,
      key: `${LONG}key`,
      text: `${LONG}txt`,
      vectors: [LONG_ONE, LONG_TWO],
      index: `${LONG}idx`,
    };
    const watched = await makeTable(names);
    const context = (id: string, column: string, target: string): MigrationContext => {
      const input: Partial<MigrationInput> = {
        id,
        table: { schema: names.schema, name: names.table },
        text: names.text,
        column,
        target,
      };
      return chain.context(input, { backupDir: backups });
    };
    const id = `m${'-x'.repeat(19)}`;
    await walkChain(
      context(`${id}1`, LONG_ONE, `${LONG}new`),
      watched,
      `${q(names.text)}, ${q(LONG_ONE)}, ${q(LONG_TWO)}`,
    );
    expect(await indexDefinition(names.schema, names.index)).toContain(q(LONG_ONE));
    // The first migration is swapped; the second goes its own way beside it, and the first one's vectors stay.
    const first = await checksumOf(chain.db, watched, q(LONG_ONE));
    await walkChain(
      context(`${id}2`, LONG_TWO, `${LONG}nex`),
      watched,
      `${q(names.text)}, ${q(LONG_ONE)}, ${q(LONG_TWO)}`,
    );
    expect(await checksumOf(chain.db, watched, q(LONG_ONE))).toBe(first);
  });
});

describe('ids', () => {
  it('of one letter and of forty characters work', async () => {
    const watched = await makeTable({
      schema: 'public',
      table: 'plain',
      key: 'id',
      text: 'text',
      vectors: ['embedding', 'second'],
      index: 'plain_idx',
    });
    const plain = { table: 'plain' };
    await walkChain(chain.context({ ...plain, id: 'a' }, { backupDir: backups }), watched, 'text, embedding, second');
    const long = chain.context({ ...plain, id: `z${'9'.repeat(39)}`, column: 'second' }, { backupDir: backups });
    await walkChain(long, watched, 'text, embedding, second');
  });
});
