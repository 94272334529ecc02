import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BackfillResult } from '../../src/backfill/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import { cachedProvider } from '../../src/providers/vector-cache/cached-provider.ts';
import { embedPending } from '../../src/steps/embed-pending.ts';
import { expand } from '../../src/steps/expand.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { withLease } from '../../src/steps/with-lease.ts';
import { type Chain, insertSegments, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 200;
const MIGRATION = { provider: 'openai', model: 'embed-8', dimensions: 8, target: 'embedding_8' } as const;

let chain: Chain;
let cacheDir: string;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());
beforeEach(async () => {
  await chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments');
  await makeSegments(chain.db, { rows: ROWS, dimensions: 4 });
  await expand(contextFor());
  cacheDir = await mkdtemp(join(tmpdir(), 'reembed-watch-'));
  return () => rm(cacheDir, { recursive: true, force: true });
});

const contextFor = (canaryBatches = 4) =>
  chain.context(MIGRATION, {
    batchRows: 10,
    concurrency: 2,
    remote: { ...chain.context().runtime.remote, canaryBatches },
  });

/** A service that makes real vectors under a name that says nothing of their version. */
class Service {
  swapped = false;
  /** Texts that were asked for, the fixed ones apart. */
  asked = 0;
  looks = 0;
  onAsked: (asked: number) => void = () => undefined;

  /** Its provider, with a cache where a directory is given. */
  provider(cache?: string): EmbeddingProvider {
    const inner = hashProvider('hash/8');
    const service: EmbeddingProvider = {
      ...inner,
      model: { ...inner.model, provider: 'openai', name: 'embed-8', revision: null, dtype: null },
      embed: async (texts, options) => {
        const isLook = texts.includes('harbour');
        if (isLook) this.looks += 1;
        else this.asked += texts.length;
        const result = await inner.embed(texts, options);
        if (!isLook) this.onAsked(this.asked);
        return this.swapped ? { ...result, vectors: result.vectors.map((vector) => vector.toReversed()) } : result;
      },
    };
    return cache === undefined ? service : cachedProvider(service, { cacheDir: cache });
  }

  /** A backfill by this service. */
  async run(ctx = contextFor(), cache?: string): Promise<BackfillResult | undefined> {
    const provider = this.provider(cache);
    try {
      return await withLease(ctx, 'fill', ({ ctx: leased, lease }) =>
        embedPending(leased, lease, { get: async () => provider, close: async () => undefined }),
      );
    } finally {
      await provider.close();
    }
  }
}

/** Rows with a vector that the first version of the model did not make. */
async function foreign(): Promise<string[]> {
  const wrong = await wrongVectors(chain.db, SEGMENTS, 'embedding_8', { provider: hashProvider('hash/8') });
  const { rows } = await chain.db.query<{ id: string }>(
    'SELECT id::text AS id FROM segments WHERE embedding_8 IS NULL',
  );
  const missing = new Set(rows.map((row) => row.id));
  return wrong.filter((id) => !missing.has(id));
}

describe('a service that keeps to its model', () => {
  it('is looked at before the first batch, every four batches, and after the last one', async () => {
    const service = new Service();
    expect(await service.run()).toMatchObject({ written: ROWS });
    expect(service.looks).toBe(1 + Math.ceil(ROWS / 10 / 4) - 1 + 1);
    expect(await foreign()).toEqual([]);
  });

  it('is not looked at where nothing is pending, nor where REEMBED_CANARY_BATCHES is 0', async () => {
    await new Service().run();
    const service = new Service();
    expect(await service.run()).toBeUndefined();
    await insertSegments(chain.db, 3, 4);
    await service.run(contextFor(0));
    expect(service).toMatchObject({ looks: 0, asked: 3 });
  });
});

describe('a service that changes its model under its name', () => {
  it('stops the run: what it wrote since the last good look is given up, and the rest goes on when it is back', async () => {
    const service = new Service();
    service.onAsked = (asked) => {
      service.swapped ||= asked >= 100;
    };
    const error = await service.run().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'IntegrityError',
      code: 'model_changed',
      message: expect.stringMatching(
        /^openai embed-8 is not the model any more that made the vectors before: of 6 fixed texts the lowest cosine is -?[\d.]+, at least 0\.999 is expected\. \d+ vectors written since the last good look, at .+, were given up\.$/,
      ),
      hint: expect.stringContaining('"reembed down --to 005"'),
    });
    expect(await foreign()).toEqual([]);
    const { rows, lastEvents } = await readStatus(contextFor());
    expect(rows.done).toBeGreaterThan(0);
    expect(rows.pending).toBeGreaterThan(0);
    expect(lastEvents[0]).toMatchObject({ kind: 'model-changed' });

    const again = new Service();
    again.swapped = true;
    await expect(again.run()).rejects.toMatchObject({ code: 'model_changed' });
    expect(again.asked).toBe(0);
    const back = new Service();
    expect(await back.run()).toMatchObject({ written: rows.pending });
    expect(await foreign()).toEqual([]);
  });

  it('is found out after the last batch as well', async () => {
    const service = new Service();
    service.onAsked = (asked) => {
      service.swapped = asked === ROWS;
    };
    await expect(service.run(contextFor(1_000))).rejects.toMatchObject({ code: 'model_changed' });
    expect((await readStatus(contextFor())).rows).toMatchObject({ done: 0, pending: ROWS });
  });

  it('is found out by the next run, when the one that wrote was killed before it looked', async () => {
    const service = new Service();
    await service.run();
    // As kill -9 leaves it: all is written, and the last look did not come.
    await chain.db.query(`UPDATE reembed.canaries SET written_since = true`);
    service.swapped = true;
    await expect(service.run()).rejects.toMatchObject({ code: 'model_changed' });
    service.swapped = false;
    await chain.db.query(`UPDATE reembed.canaries SET written_since = true`);
    const looks = service.looks;
    expect(await service.run()).toBeUndefined();
    expect(service.looks).toBe(looks + 1);
    expect(await service.run()).toBeUndefined();
    expect(service.looks).toBe(looks + 1);
  });

  it('gives up what was kept of it on this machine, so that nothing of it comes back', async () => {
    const service = new Service();
    service.onAsked = (asked) => {
      service.swapped ||= asked >= 100;
    };
    await expect(service.run(contextFor(), cacheDir)).rejects.toMatchObject({ code: 'model_changed' });
    service.onAsked = () => undefined;
    service.swapped = false;
    await service.run(contextFor(), cacheDir);
    expect((await readStatus(contextFor())).rows).toMatchObject({ pending: 0 });
    expect(await foreign()).toEqual([]);
  });

  it('is taken as it is by a migration that begins anew, whatever is kept of the former one', async () => {
    const service = new Service();
    await service.run(contextFor(), cacheDir);
    service.swapped = true;
    await undoExpand(contextFor());
    await expand(contextFor());
    await service.run(contextFor(), cacheDir);
    expect(service.asked).toBe(2 * ROWS);
    expect((await foreign()).length).toBe(ROWS);
  });
});

it('what was paid for and not written costs nothing the second time', async () => {
  const service = new Service();
  const stop = new AbortController();
  service.onAsked = (asked) => {
    if (asked >= 60) stop.abort();
  };
  const failing = contextFor();
  // Nothing of it can be written: as if the process had been killed between answer and write.
  await chain.db.query(
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
     CREATE TRIGGER refuse BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION refuse()`,
  );
  await expect(service.run({ ...failing, signal: stop.signal }, cacheDir)).rejects.toThrow();
  await chain.db.query('DROP TRIGGER refuse ON segments');
  const paid = service.asked;
  expect(paid).toBeGreaterThan(0);
  service.onAsked = () => undefined;
  await service.run(contextFor(), cacheDir);
  expect(service.asked).toBe(ROWS);
  expect(await foreign()).toEqual([]);
});
