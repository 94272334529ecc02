import type { Queryable } from '../../../src/db/types.ts';
import type { Violation } from './judge.ts';

/** Where the chain has ended. */
export type End = 'backfilled' | 'swapped' | 'finalized';

interface Facts {
  readonly phase: string | null;
  readonly active: string | null;
  readonly kept: string | null;
  readonly columns: Readonly<Record<string, string>>;
  readonly triggers: readonly string[];
  readonly leftovers: readonly string[];
  readonly indexes: readonly string[];
  readonly voices: number;
}

const VECTORS: Readonly<Record<End, Readonly<Record<string, string>>>> = {
  backfilled: { embedding: 'vector(16)', embedding_384: 'vector(384)' },
  swapped: { embedding: 'vector(384)', embedding_old: 'vector(16)' },
  finalized: { embedding: 'vector(384)' },
};
const PROVENANCE: Readonly<Record<End, readonly string[]>> = {
  backfilled: ['embedding_384'],
  swapped: ['embedding'],
  finalized: ['embedding'],
};

/** Nothing of the scaffolding stays, and what the state says is what the catalog says. */
export async function judgeCatalog(db: Queryable, end: End): Promise<Violation[]> {
  const facts = await readFacts(db);
  const wrong: string[] = [...facts.leftovers];
  const expect = (what: string, observed: unknown, expected: unknown): void => {
    const [seen, wanted] = [observed, expected].map((value) => JSON.stringify(value));
    if (seen !== wanted) wrong.push(`${what} is ${seen}, expected ${wanted}`);
  };
  expect('the phase', facts.phase, end);
  expect('the active side', facts.active, end === 'backfilled' ? 'old' : 'new');
  expect('the kept column', facts.kept, end === 'swapped' ? 'embedding_old' : null);
  const vectors = Object.entries(facts.columns).filter(([, type]) => type.startsWith('vector') && type !== 'vector(4)');
  expect('the vector columns', Object.fromEntries(vectors), VECTORS[end]);
  const own = Object.keys(facts.columns).filter((name) => /_(model|hash|at)$/.test(name));
  const expected = PROVENANCE[end].flatMap((column) => ['at', 'hash', 'model'].map((part) => `${column}_${part}`));
  expect('the provenance', own, expected);
  expect('the triggers', facts.triggers.length, { backfilled: 1, swapped: 2, finalized: 0 }[end]);
  if (end !== 'backfilled' && facts.indexes.length !== 1)
    wrong.push(`the new vectors have ${facts.indexes.length} indexes`);
  if (facts.voices > 0) wrong.push(`${facts.voices} vectors of a column that is nobody's business changed`);
  return wrong.map((what) => ({ count: 'left', what }));
}

async function readFacts(db: Queryable): Promise<Facts> {
  const { rows } = await db.query<Facts>(
    `SELECT m.phase, m.active, m.kept_column AS kept,
       (SELECT json_object_agg(attname, format_type(atttypid, atttypmod) ORDER BY attname) FROM pg_attribute
          WHERE attrelid = 'segments'::regclass AND attnum > 0 AND NOT attisdropped) AS columns,
       ARRAY(SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'segments'::regclass AND NOT tgisinternal AND tgenabled = 'O') AS triggers,
       ARRAY(SELECT 'index ' || c.relname || ' of the scaffolding' FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
          WHERE i.indrelid = 'segments'::regclass AND (NOT i.indisvalid OR c.relname LIKE 'reembed%')
        UNION ALL SELECT 'constraint ' || conname FROM pg_constraint
          WHERE conrelid = 'segments'::regclass AND (conname LIKE 'reembed%' OR NOT convalidated)
        UNION ALL SELECT 'the lock of knex' FROM knex_migrations_lock WHERE is_locked <> 0
        UNION ALL SELECT 'a lease of ' || holder FROM reembed.leases
          WHERE holder IS NOT NULL AND step NOT LIKE 'after %' AND expires > clock_timestamp()
        UNION ALL SELECT 'an advisory lock' FROM pg_locks l WHERE locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS leftovers,
       ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index
          WHERE indrelid = 'segments'::regclass AND pg_get_indexdef(indexrelid) ~ ' (ivfflat|hnsw) \\(embedding ') AS indexes,
       (SELECT count(*)::int FROM segments WHERE voice IS NOT NULL AND voice::text <> '[' || split_part(ref, '-', 2) || ',1,2,3]') AS voices
     FROM reembed.migrations m`,
  );
  const [facts] = rows;
  if (facts === undefined) throw new Error('the state has no record of the migration');
  return facts;
}
