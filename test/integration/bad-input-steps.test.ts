import { cp, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { ReembedError } from '../../src/errors.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';
import { everythingIn, refusalOf } from '../helpers/refusal.ts';

const ROWS = 60;

let chain: Chain;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-bad-input-'));
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await chain.db.query(
    `DROP SCHEMA IF EXISTS reembed CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION vector;
     CREATE TABLE segments (id int PRIMARY KEY, text text, embedding vector(8), voice vector(4));
     INSERT INTO segments SELECT i, 'text ' || i, '[1,2,3,4,5,6,7,8]', '[1,2,3,4]' FROM generate_series(1, ${ROWS}) i;
     CREATE INDEX segments_idx ON segments USING hnsw (embedding vector_cosine_ops)`,
  );
});

const contextFor = (input: Partial<MigrationInput> = {}) => chain.context(input, { backupDir: directory });

const everything = () => everythingIn(chain.db);

describe('the steps in a wrong order', () => {
  it('are refused going up, and do nothing going down', async () => {
    const before = await everything();
    const notStarted = {
      code: 'not_expanded',
      message: 'The migration "segments-hash" has not been started in this database.',
      hint: 'Run "npx knex migrate:up" (or "reembed up --to 005") first.',
    };
    for (const step of [fill, cutOver, (ctx: Parameters<typeof fill>[0]) => finalize(ctx, { now: true })]) {
      expect(await refusalOf(step(contextFor()))).toEqual(notStarted);
    }
    for (const step of [undoCutOver, undoFill, undoExpand]) await step(contextFor());
    expect(await everything()).toEqual(before);
  });

  it('005 and 006 are not undone under a swap', async () => {
    for (const step of [expand, fill, cutOver]) await step(contextFor());
    const before = await everything();
    const swapped = {
      code: 'already_swapped',
      message: '"segments-hash" is swapped: embedding holds the new vectors.',
      hint: 'Undo the swap first: "npx knex migrate:down" (or "reembed rollback").',
    };
    expect(await refusalOf(undoFill(contextFor()))).toEqual(swapped);
    expect(await refusalOf(undoExpand(contextFor()))).toEqual(swapped);
    expect(await everything()).toEqual(before);
  });

  it('007 without 006 embeds what 006 would have', async () => {
    await expand(contextFor());
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });
});

describe('a migration that was changed on its way', () => {
  it.each<[string, Partial<MigrationInput>, string]>([
    ['the text', { text: 'other' }, 'text other (was text)'],
    [
      'the dimensions',
      { model: 'hash/256', dimensions: 256 },
      'target embedding_256 (was embedding_384), dimensions 256 (was 384)',
    ],
    ['the table', { table: 'public.elsewhere' }, 'table public.elsewhere (was public.segments)'],
    ['the type', { vectorType: 'halfvec' }, 'vectorType halfvec (was vector)'],
  ])('%s: every step refuses before anything is written', async (_, input, change) => {
    await chain.db.query(
      'CREATE TABLE elsewhere AS SELECT * FROM segments; ALTER TABLE segments ADD COLUMN other text',
    );
    await expand(contextFor());
    const before = await everything();
    const refused = {
      code: 'definition_changed',
      message: `The migration "segments-hash" was started with another configuration, which now says ${change}.`,
      hint: 'Give the new migration an id of its own, or undo this one first: "reembed down --migration segments-hash".',
    };
    expect(await refusalOf(expand(contextFor(input)))).toEqual(refused);
    expect(await refusalOf(fill(contextFor(input)))).toEqual(refused);
    expect(await refusalOf(cutOver(contextFor(input)))).toEqual(refused);
    expect(await everything()).toEqual(before);
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('the new column, by hand to another size', async () => {
    await expand(contextFor());
    await chain.db.query('ALTER TABLE segments DISABLE TRIGGER USER');
    await chain.db.query('DROP TRIGGER "zzz_reembed_segments-hash" ON segments');
    await chain.db.query('ALTER TABLE segments ALTER COLUMN embedding_384 TYPE vector(512)');
    expect(await refusalOf(expand(contextFor()))).toEqual({
      code: 'target_dimensions',
      message: 'segments.embedding_384 is vector(512), the model makes 384 dimensions.',
      hint: 'Undo this migration ("reembed down --to 005") and start it again, or give the new one another id and "target" (REEMBED_TARGET_COLUMN).',
    });
  });
});

describe('a state of another release', () => {
  it('that is newer is refused, not guessed at', async () => {
    await expand(contextFor());
    await chain.db.query(`UPDATE reembed.meta SET value = '99' WHERE key = 'version'`);
    expect(await refusalOf(expand(contextFor()))).toEqual({
      code: 'state_newer',
      message: 'The state in schema "reembed" has version 99, this reembed knows 6.',
      hint: 'Update the package "reembed" to the version that the other deployment uses.',
    });
  });
});

describe('a model that cannot be used: nothing is written, and the right one goes on', () => {
  const bundled = fileURLToPath(new URL('../../models/all-MiniLM-L6-v2', import.meta.url));

  async function refusalOfModel(
    input: Partial<MigrationInput>,
  ): Promise<Pick<ReembedError, 'code' | 'message' | 'hint'>> {
    await expand(contextFor(input));
    const refusal = await refusalOf(fill(contextFor(input)));
    expect(await refusalOf(cutOver(contextFor(input)))).toEqual(refusal);
    expect(await readStatus(contextFor(input))).toMatchObject({ active: 'old', rows: { done: 0, pending: ROWS } });
    return refusal;
  }

  it('its file was cut short', async () => {
    const model = join(directory, 'cut-short');
    await cp(bundled, model, { recursive: true });
    await truncate(join(model, 'onnx', 'model_int8.onnx'), 10_000_000);
    expect(await refusalOfModel({ model, provider: 'local' })).toEqual({
      code: 'model_file_altered',
      message: `${join(model, 'onnx', 'model_int8.onnx')} has 10000000 bytes, its manifest says 22792788: the model sentence-transformers/all-MiniLM-L6-v2 was not loaded.`,
      hint: 'Copy the model again, or for the bundled one install reembed again ("npm ci"; in a clone "git checkout -- models").',
    });
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('it is not there', async () => {
    const model = join(directory, 'no-such-model');
    expect(await refusalOfModel({ model, provider: 'local' })).toMatchObject({
      code: 'model_missing',
      message: expect.stringMatching(/^The model .*no-such-model is neither a directory nor under .*\.$/),
      hint: expect.stringContaining('or to hash/384 (a test model without meaning).'),
    });
  });

  it('it makes other dimensions than the configuration says', async () => {
    const model = 'sentence-transformers/all-MiniLM-L6-v2';
    expect(await refusalOfModel({ model, provider: 'local', dimensions: 768 })).toEqual({
      code: 'dimensions_differ',
      message: `${model} makes 384 dimensions, the configuration asks for 768.`,
      hint: 'Set the dimensions (EMBEDDING_DIMENSIONS) to 384, or choose another model.',
    });
  });

  it('it is another revision', async () => {
    const model = 'sentence-transformers/all-MiniLM-L6-v2';
    expect(await refusalOfModel({ model, provider: 'local', revision: 'abc' })).toMatchObject({
      code: 'revision_differs',
      message: expect.stringMatching(
        /^sentence-transformers\/all-MiniLM-L6-v2 is revision \S+, the configuration asks for abc\.$/,
      ),
    });
  });

  it('the file of vectors is not there', async () => {
    const model = join(directory, 'nothing.jsonl');
    expect(await refusalOfModel({ model, provider: 'file' })).toEqual({
      code: 'vectors_invalid',
      message: `The vectors' file ${model} does not exist.`,
      hint: 'Check EMBEDDING_MODEL; docs/models.md shows the forms.',
    });
  });
});

describe('007 refuses what is bound to the old column', () => {
  it('a view and a generated column are named, nothing is exchanged', async () => {
    await chain.db.query('CREATE VIEW nearest AS SELECT id, embedding FROM segments');
    await expand(contextFor());
    await fill(contextFor());
    const before = await everything();
    expect(await refusalOf(cutOver(contextFor()))).toEqual({
      code: 'column_has_dependents',
      message:
        'public.segments.embedding is read by view public.nearest: bound to the column itself, they would go on reading the vectors that leave.',
      hint: expect.stringMatching(/--recreate-views .*--print-dependents/),
    });
    expect(await everything()).toEqual(before);
    await chain.db.query('DROP VIEW nearest');
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });
});

describe("userTriggers: 'fire'", () => {
  it('lets the trigger run for every row, and the chain through', async () => {
    await chain.db.query(
      `ALTER TABLE segments ADD COLUMN updated int NOT NULL DEFAULT 0;
       CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated := OLD.updated + 1; RETURN NEW; END $$;
       CREATE TRIGGER set_updated BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION touch()`,
    );
    const ctx = () => contextFor({ userTriggers: 'fire' });
    for (const step of [expand, fill, cutOver]) await step(ctx());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
    const { rows } = await chain.db.query('SELECT DISTINCT updated FROM segments');
    expect(rows).toEqual([{ updated: 1 }]);
  });
});
