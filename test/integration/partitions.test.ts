import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest';
import { type Chain, openChain } from '../helpers/chain.ts';
import type { Watched } from '../helpers/oracle.ts';
import { walkChain } from '../helpers/walk-chain.ts';

/** Roles belong to the whole server. */
const READER = `"part reader ${randomBytes(4).toString('hex')}"`;
const SEGMENTS: Watched = { table: 'segments', key: 'id', text: 'text' };

let chain: Chain;
let backups: string;

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), 'reembed-partitions-'));
  chain = await openChain();
  await chain.db.query(`CREATE SCHEMA "Old data"; CREATE ROLE ${READER}`);
});
beforeEach(async () => {
  await chain.db.query(`DROP TABLE IF EXISTS segments CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE`);
});
afterAll(async () => {
  await chain.db.query(`DROP OWNED BY ${READER}; DROP ROLE ${READER}`);
  await chain.close();
  await rm(backups, { recursive: true, force: true });
});

/** 700 rows in a partition of another schema, 140 in two of a lower level, 60 in the default one, and an empty one. */
async function makePartitioned(): Promise<void> {
  await chain.db.query(
    `CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector(8), voice vector(4)) PARTITION BY RANGE (id);
     CREATE TABLE "Old data"."Low, first" PARTITION OF segments FOR VALUES FROM (0) TO (701);
     CREATE TABLE middle PARTITION OF segments FOR VALUES FROM (701) TO (841) PARTITION BY HASH (id);
     CREATE TABLE middle_0 PARTITION OF middle FOR VALUES WITH (MODULUS 2, REMAINDER 0);
     CREATE TABLE middle_1 PARTITION OF middle FOR VALUES WITH (MODULUS 2, REMAINDER 1);
     CREATE TABLE rest PARTITION OF segments DEFAULT;
     CREATE TABLE empty PARTITION OF segments FOR VALUES FROM (2000) TO (3000);
     INSERT INTO segments SELECT i, 'passage ' || md5(i::text), (SELECT array_agg(0.5 + random()) FROM generate_series(1, 8) WHERE i > 0)::vector, ARRAY[i, 1, 2, 3]::vector
       FROM generate_series(1, 900) i;
     CREATE INDEX segments_ann ON segments USING ivfflat (embedding vector_cosine_ops) WITH (lists = 4);
     CREATE INDEX segments_some ON segments USING hnsw (embedding vector_l2_ops) WHERE id > 650;
     CREATE INDEX segments_bare ON segments (id) WHERE embedding IS NULL`,
  );
}

describe('a partitioned table', () => {
  it('goes there and back with what each partition has of its own', async () => {
    await makePartitioned();
    await chain.db.query(
      `ALTER TABLE segments ALTER embedding SET NOT NULL, ADD CONSTRAINT known CHECK (vector_norm(embedding) > 0);
       COMMENT ON COLUMN segments.embedding IS 'of all';
       COMMENT ON COLUMN "Old data"."Low, first".embedding IS 'its own';
       GRANT SELECT (embedding) ON middle_1 TO ${READER};
       GRANT UPDATE (embedding) ON segments TO ${READER};
       ALTER TABLE rest ADD CONSTRAINT rest_only CHECK (embedding <> '[0,0,0,0,0,0,0,0]' OR id > 0);
       COMMENT ON CONSTRAINT rest_only ON rest IS 'of the rest';
       ALTER TABLE empty ALTER embedding SET STATISTICS 7`,
    );
    await walkChain(chain.context({}, { backupDir: backups }), SEGMENTS, 'text, embedding, voice');
  });
});
