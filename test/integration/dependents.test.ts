import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { listDependents } from '../../src/inspect/list-dependents.ts';
import { preflight } from '../../src/inspect/preflight.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { exchange } from '../../src/swap/exchange.ts';
import { refusal } from '../helpers/backup-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
  await chain.db.query(
    `DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'View reader') THEN CREATE ROLE "View reader"; CREATE ROLE "View owner"; END IF; END $$`,
  );
  await makeSegments(chain.db, { rows: 40 });
  await chain.db.query(VIEWS);
});
afterAll(async () => {
  await chain.db.query('DROP OWNED BY "View owner", "View reader" CASCADE').catch(() => undefined);
  await chain.close();
});

/** Three views, one over the other, in two schemas, with everything that a view can have; a join with another table. */
const VIEWS = `
  CREATE SCHEMA app; GRANT CREATE, USAGE ON SCHEMA app TO "View owner";
  GRANT USAGE ON SCHEMA app TO "View reader"; GRANT SELECT ON segments TO "View owner";
  ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "View reader";
  CREATE TABLE topics (id bigint PRIMARY KEY, name text DEFAULT 'none'); INSERT INTO topics SELECT i, 'topic ' || i FROM generate_series(1, 20) i;
  CREATE VIEW app."The passages" (id, words, "The vector") WITH (security_barrier, check_option = cascaded)
    AS SELECT id, text, embedding FROM segments WHERE embedding <=> embedding < 1;
  ALTER VIEW app."The passages" ALTER COLUMN words SET DEFAULT 'it''s new';
  COMMENT ON VIEW app."The passages" IS 'what readers see: it''s a view'; COMMENT ON COLUMN app."The passages".words IS 'the text';
  REVOKE ALL ON app."The passages" FROM "View reader";
  GRANT SELECT (id, words) ON app."The passages" TO "View reader"; GRANT UPDATE ON app."The passages" TO "View reader" WITH GRANT OPTION;
  ALTER VIEW app."The passages" OWNER TO "View owner"; GRANT SELECT ON app."The passages" TO CURRENT_USER;
  CREATE VIEW named AS SELECT p.*, t.name FROM app."The passages" p JOIN topics t USING (id);
  CREATE FUNCTION redirect() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE topics SET name = NEW.name WHERE id = OLD.id; RETURN NEW; END';
  CREATE TRIGGER instead INSTEAD OF UPDATE ON named FOR EACH ROW EXECUTE FUNCTION redirect(); COMMENT ON TRIGGER instead ON named IS 'by hand';
  CREATE RULE no_delete AS ON DELETE TO named DO INSTEAD NOTHING; COMMENT ON RULE no_delete ON named IS 'never';
  CREATE VIEW counted AS SELECT count(*) AS n, count("The vector") AS vectors FROM named;
  ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM "View reader"`;

const migration = { recreateViews: true };
const dimensions = async (view: string, column: string): Promise<unknown> =>
  (await chain.db.query(`SELECT DISTINCT vector_dims(${column}) AS n FROM ${view}`)).rows;

/** Everything about the views that someone could miss, their oids apart. */
async function views(): Promise<unknown> {
  const { rows } = await chain.db.query(
    `SELECT c.oid::regclass::text AS name, pg_get_userbyid(c.relowner) AS owner, pg_get_viewdef(c.oid) AS query, c.reloptions::text AS options,
       (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(c.relacl) x) AS grants, obj_description(c.oid, 'pg_class') AS comment,
       (SELECT json_agg(json_build_array(a.attname, a.attacl::text, col_description(c.oid, a.attnum), pg_get_expr(d.adbin, c.oid)) ORDER BY a.attnum)::text
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
       (SELECT string_agg(pg_get_ruledef(r.oid) || coalesce(obj_description(r.oid, 'pg_rewrite'), ''), ' ' ORDER BY r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid) AS rules,
       (SELECT string_agg(pg_get_triggerdef(t.oid) || coalesce(obj_description(t.oid, 'pg_trigger'), ''), ' ') FROM pg_trigger t WHERE t.tgrelid = c.oid) AS triggers
     FROM pg_class c WHERE c.relkind = 'v' AND c.relnamespace IN ('app'::regnamespace, 'public'::regnamespace) ORDER BY 1`,
  );
  return rows;
}

describe('plain views over the column', () => {
  let before: unknown;

  it('are named by preflight in the order of their reading, with the way on, and refused without being asked for', async () => {
    const { findings } = await preflight(chain.context());
    const found = findings.filter(({ code }) => code === 'dependent_bound');
    expect(found.map(({ message }) => /"([^"]+(?:"[^"]*)?)" (?:is bound|reads a view)/.exec(message)?.[1])).toEqual([
      'app.The passages',
      'public.named',
      'public.counted',
    ]);
    expect(found[1]?.hint).toMatch(/--recreate-views/);
    await expand(chain.context());
    await fill(chain.context());
    before = await views();
    const refused = await refusal(cutOver(chain.context()));
    expect(refused).toMatchObject({
      code: 'column_has_dependents',
      message: expect.stringContaining('view app.The passages, view public.named, view public.counted'),
      hint: expect.stringMatching(/--recreate-views .*--print-dependents/),
      context: { dependents: [{ create: expect.arrayContaining([expect.stringContaining('CREATE VIEW')]) }, {}, {}] },
    });
    expect(await views()).toEqual(before);
  });

  it('come back over the new vectors within the exchange, as they were, and over the old ones in the rollback', async () => {
    expect(await dimensions('named', '"The vector"')).toEqual([{ n: 16 }]);
    await cutOver(chain.context(migration));
    expect(await views()).toEqual(before);
    expect(await dimensions('named', '"The vector"')).toEqual([{ n: 384 }]);
    expect((await chain.db.query('SELECT * FROM counted')).rows).toEqual([{ n: '20', vectors: '20' }]);
    await chain.db.query(`UPDATE named SET name = 'renamed' WHERE id = 3; DELETE FROM named`);
    expect((await chain.db.query('SELECT name FROM named WHERE id = 3')).rows).toEqual([{ name: 'renamed' }]);
    await undoCutOver(chain.context({}, { recreateViews: true }));
    expect(await views()).toEqual(before);
    expect(await dimensions('named', '"The vector"')).toEqual([{ n: 16 }]);
  });

  it('leave everything as it was when one cannot read the new vectors', async () => {
    // pgvector casts halfvec to vector only where it is assigned.
    await chain.db.query(`CREATE FUNCTION only_vectors(vector) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
      CREATE VIEW typed AS SELECT only_vectors(embedding) AS one FROM segments`);
    const typed = { id: 'half', vectorType: 'halfvec', target: 'embedding_half', ...migration } as const;
    await undoExpand(chain.context());
    for (const step of [expand, fill]) await step(chain.context(typed));
    before = await views();
    expect(await refusal(cutOver(chain.context(typed)))).toMatchObject({
      code: 'view_unfit',
      message: expect.stringContaining('The view public.typed cannot be made again over the vectors that come in'),
    });
    expect(await views()).toEqual(before);
    expect(await dimensions('segments', 'embedding')).toEqual([{ n: 16 }]);
    await chain.db.query('DROP VIEW typed');
    await undoExpand(chain.context(typed));
  });

  it('stand where nothing is exchanged, because rows stay without a vector', async () => {
    const ctx = chain.context(migration);
    for (const step of [expand, fill]) await step(ctx);
    await chain.db.query(`UPDATE segments SET text = 'edited' WHERE id = 1`);
    before = await views();
    const catchUp = async (): Promise<void> => undefined;
    const exchanged = exchange(ctx, await resolveMigration(ctx), { catchUp, acceptPending: 0 });
    expect(await refusal(exchanged)).toMatchObject({ code: 'cannot_catch_up' });
    expect(await views()).toEqual(before);
  });

  it('are there for every reader of the topmost one while they are recreated (a server: the embedded has one session)', async ({
    skip,
  }) => {
    if (chain.db.embedded) skip('the embedded database has one session');
    let stop = false;
    const read = async (): Promise<number> => {
      let reads = 0;
      for (; !stop; reads++) await chain.db.query('SELECT count("The vector"), max(name) FROM named');
      return reads;
    };
    const readers = [read(), read()];
    const own = openDatabase(chain.database.settings);
    await cutOver({ ...chain.context(migration), db: own }).finally(() => {
      stop = true;
    });
    for (const reads of await Promise.all(readers)) expect(reads).toBeGreaterThan(0);
    await undoCutOver({ ...chain.context(migration), db: own });
    await own.close();
  });

  it('that come between the look and the lock stop the exchange (a server: the embedded has one session)', async ({
    skip,
  }) => {
    if (chain.db.embedded) skip('the embedded database has one session');
    const own = openDatabase(chain.database.settings);
    const transaction: typeof own.transaction = (work, options) =>
      own.transaction(
        (tx) =>
          work({
            async query(text, params) {
              if (text.includes('ACCESS EXCLUSIVE'))
                await chain.db.query('CREATE OR REPLACE VIEW late AS SELECT embedding FROM segments');
              return tx.query(text, params);
            },
          }),
        options,
      );
    const ctx = { ...chain.context(migration), db: { ...own, transaction } };
    expect(await refusal(cutOver(ctx))).toMatchObject({
      code: 'dependents_changed',
      message: expect.stringContaining('view public.late'),
    });
    await chain.db.query('DROP VIEW late');
    await own.close();
  });

  it('over the kept column are never dropped with it: finalize refuses', async () => {
    for (const step of [expand, fill, cutOver]) await step(chain.context(migration));
    await chain.db.query('CREATE VIEW kept AS SELECT embedding_old FROM segments');
    const refused = await refusal(finalize(chain.context(migration, { backup: 'none' }), { now: true }));
    expect(refused).toMatchObject({
      code: 'column_has_dependents',
      message: expect.stringContaining('dropped with it'),
    });
    await chain.db.query('DROP VIEW kept');
    await undoCutOver(chain.context(migration));
    await undoExpand(chain.context());
  });
});

describe('all else that is bound to the column', () => {
  const MORE = `
    CREATE MATERIALIZED VIEW stored WITH (fillfactor = 70) AS SELECT id, "The vector" FROM app."The passages" WITH NO DATA;
    CREATE UNIQUE INDEX stored_id ON stored (id); COMMENT ON MATERIALIZED VIEW stored IS 'nightly';
    ALTER TABLE segments ADD dims int GENERATED ALWAYS AS (vector_dims(embedding)) STORED; CREATE INDEX by_dims ON segments (dims);
    CREATE POLICY "seen only" ON segments AS RESTRICTIVE FOR SELECT TO "View reader" USING (embedding IS NOT NULL);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER noted BEFORE UPDATE OF embedding ON segments FOR EACH ROW EXECUTE FUNCTION touch(); ALTER TABLE segments DISABLE TRIGGER noted;
    CREATE RULE copied AS ON DELETE TO topics WHERE EXISTS (SELECT 1 FROM segments WHERE embedding IS NULL) DO ALSO NOTHING;
    CREATE FUNCTION first_one() RETURNS vector LANGUAGE sql BEGIN ATOMIC SELECT embedding FROM segments LIMIT 1; END;
    GRANT EXECUTE ON FUNCTION first_one() TO "View reader"; CREATE PUBLICATION columns FOR TABLE segments (id, embedding)`;
  const catalog = async (): Promise<unknown> => {
    const { dependents, ...rest } = await listDependents(chain.context());
    return { dependents, rest, plain: await views(), indexes: await indexes() };
  };
  const indexes = async (): Promise<unknown> =>
    (
      await chain.db.query(
        `SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef !~ 'embedding' ORDER BY 1`,
      )
    ).rows;

  it('is printed as a script that takes it away and makes it again exactly as it was', async () => {
    await chain.db.query(MORE);
    const report = await listDependents(chain.context());
    expect(report.dependents.map(({ kind, name }) => `${kind} ${name}`).sort()).toEqual([
      'function public.first_one',
      'generated column dims',
      'materialized view public.stored',
      'policy seen only',
      'publication columns',
      'rule copied on public.topics',
      'trigger noted',
      'view app.The passages',
      'view public.counted',
      'view public.named',
    ]);
    const before = await catalog();
    for (const step of [expand, fill]) await step(chain.context({ userTriggers: 'fire' }));
    await chain.db.query(report.before);
    expect((await listDependents(chain.context())).dependents).toEqual([]);
    await cutOver(chain.context());
    await chain.db.query(report.after);
    expect(await catalog()).toEqual(before);
    expect(await dimensions('named', '"The vector"')).toEqual([{ n: 384 }]);
  });

  it('keeps the swap from recreating anything, with what stands in its way', async () => {
    const refused = await refusal(undoCutOver(chain.context(migration)));
    expect(refused).toMatchObject({
      code: 'column_has_dependents',
      message: expect.stringContaining('the materialized view public.stored is no plain view'),
      hint: expect.not.stringContaining('--recreate-views'),
    });
  });
});
