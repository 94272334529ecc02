import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { providerSource } from '../../src/backfill/provider-source.ts';
import { readWindow, type Window } from '../../src/backfill/read-windows.ts';
import { runBackfill } from '../../src/backfill/run-backfill.ts';
import type { BackfillResult, VectorSource } from '../../src/backfill/types.ts';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { ProviderError } from '../../src/errors.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { registerModel } from '../../src/state/models.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { expand } from '../../src/steps/expand.ts';
import { type Chain, insertSegments, openChain, staleKeys } from '../helpers/chain.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments; DROP SCHEMA IF EXISTS reembed CASCADE');
  await chain.db.query(
    'CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding vector(16), voice vector(4))',
  );
  await expand(chain.context());
});
afterAll(() => chain.close());

describe('a window of pending rows', () => {
  /** In bytes; the characters are two bytes each, so a limit that counted characters would be seen. */
  const SIZES = [400, 400, 400, 5_000, 100];

  beforeEach(async () => {
    for (const size of SIZES) await chain.db.query('INSERT INTO segments (text) VALUES ($1)', ['ü'.repeat(size / 2)]);
  });

  async function read(after: number | null, rows: number, bytes: number): Promise<[ids: number[], isLast: boolean]> {
    const window = await readAfter(after, rows, bytes);
    return [window.rows.map((row) => Number(row.key[0])), window.isLast];
  }

  async function readAfter(after: number | null, rows: number, bytes: number, upTo?: number): Promise<Window> {
    const { target, record } = await resolveMigration(chain.context());
    const options = { modelId: 1, migrationId: record.id, skipQuarantined: false };
    const range = { after: after === null ? null : [String(after)], upTo: upTo === undefined ? null : [String(upTo)] };
    return readWindow(chain.db, target, options, range, { rows, bytes });
  }

  it('holds the rows whose texts fit in the bytes, to the byte', async () => {
    expect(await read(null, 10, 1_000)).toEqual([[1, 2], false]);
    expect(await read(null, 10, 800)).toEqual([[1, 2], false]);
    expect(await read(null, 10, 799)).toEqual([[1], false]);
    expect(await read(null, 10, 6_299)).toEqual([[1, 2, 3, 4], false]);
    expect(await read(null, 10, 6_300)).toEqual([[1, 2, 3, 4, 5], true]);
  });

  it('holds a text that alone is larger, so that nothing is stuck behind it', async () => {
    expect(await read(3, 10, 1_000)).toEqual([[4], false]);
    const { rows } = await readAfter(3, 10, 1_000);
    expect(rows[0]?.text).toBe('ü'.repeat(2_500));
    expect(await read(null, 10, 1)).toEqual([[1], false]);
  });

  it('is bounded by rows as well', async () => {
    expect(await read(null, 3, 1_000_000)).toEqual([[1, 2, 3], false]);
    expect(await read(3, 3, 1_000_000)).toEqual([[4, 5], true]);
  });

  it('is the last one when nothing is pending behind it, and empty only when nothing is pending at all', async () => {
    expect(await read(4, 10, 1_000)).toEqual([[5], true]);
    expect(await read(5, 10, 1_000)).toEqual([[], true]);
    await chain.db.query('UPDATE segments SET text = NULL WHERE id = 5');
    expect(await read(3, 10, 1_000)).toEqual([[4], true]);
  });

  it('ends at the bound of the walk, which is in it', async () => {
    const { rows, isLast } = await readAfter(1, 10, 1_000_000, 3);
    expect([rows.map((row) => row.key), isLast]).toEqual([[['2'], ['3']], true]);
    expect((await readAfter(1, 2, 1_000_000, 4)).isLast).toBe(false);
    expect((await readAfter(3, 10, 1_000_000, 3)).rows).toEqual([]);
  });

  it('after window meets every row once, whatever the limits', async () => {
    for (const bytes of [1, 500, 1_000, 5_100, 100_000]) {
      const met: number[] = [];
      for (let isLast = false; !isLast; ) {
        const [ids, last] = await read(met.at(-1) ?? null, 2, bytes);
        met.push(...ids);
        isLast = last;
      }
      expect(met, `${bytes} bytes`).toEqual([1, 2, 3, 4, 5]);
    }
  });
});

describe('a run of the backfill', () => {
  const provider = hashProvider('hash/384');

  async function run(
    source: VectorSource,
    runtime: Partial<RuntimeSettings>,
  ): Promise<{ result: BackfillResult | undefined; error: unknown; warnings: string[] }> {
    const ctx = chain.context({}, runtime);
    const { target, extension } = await resolveMigration(ctx);
    const modelId = await registerModel(chain.db, ctx.runtime.stateSchema, { ...source.model });
    const to = { target, modelId, vectorOid: extension.vectorOid, fence: undefined };
    const rest = { cursor: null, rowsDone: 0, rowsTotal: 0, signal: undefined, onCheckpoint: undefined };
    const outcome = await runBackfill({ ctx, to, source, ...rest }).then(
      (result) => ({ result, error: undefined }),
      (error: unknown) => ({ result: undefined, error }),
    );
    return { ...outcome, warnings: ctx.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : [])) };
  }

  it.each([1, 3])('embeds %i windows at a time where that is the concurrency, never more', async (concurrency) => {
    await insertSegments(chain.db, 300, 16);
    const embed = providerSource(provider);
    let inFlight = 0;
    let most = 0;
    let isFull = (): void => undefined;
    const full = new Promise<void>((resolve) => {
      isFull = resolve;
    });
    const source: VectorSource = {
      needs: 'text',
      model: embed.model,
      async produce(rows, signal) {
        inFlight += 1;
        most = Math.max(most, inFlight);
        if (inFlight === concurrency) isFull();
        await full;
        // Long enough for one window more to come, if it may.
        await sleep(20);
        inFlight -= 1;
        return embed.produce(rows, signal);
      },
    };
    const { result, error } = await run(source, { concurrency, batchRows: 20 });
    expect(error).toBeUndefined();
    expect(result).toMatchObject({ written: 300 });
    expect(most).toBe(concurrency);
    expect(await staleKeys(chain.db, 'embedding_384')).toEqual([]);
  });

  /** Fails `times` times in a way that can pass, then embeds. */
  function failing(times: number): { source: VectorSource; attempts: () => number } {
    const embed = providerSource(provider);
    let attempts = 0;
    const source: VectorSource = {
      needs: 'text',
      model: embed.model,
      async produce(rows, signal) {
        attempts += 1;
        if (attempts > times) return embed.produce(rows, signal);
        throw new ProviderError('overloaded', `attempt ${attempts} came too early`, { retryable: true, step: 'fill' });
      },
    };
    return { source, attempts: () => attempts };
  }

  it('tries a batch as often as maxRetries says, then ends with the last error and writes nothing', async () => {
    await insertSegments(chain.db, 10, 16);
    const { source, attempts } = failing(Number.POSITIVE_INFINITY);
    const { error, warnings } = await run(source, { maxRetries: 2 });
    expect(attempts()).toBe(2);
    expect(error).toMatchObject({ code: 'overloaded', message: 'attempt 2 came too early' });
    expect(warnings).toEqual(['Attempt 1 of 2 failed: attempt 1 came too early']);
    expect(await staleKeys(chain.db, 'embedding_384')).toHaveLength(10);
  });

  it('goes on when the second of two attempts succeeds', async () => {
    await insertSegments(chain.db, 10, 16);
    const { source, attempts } = failing(1);
    const { result } = await run(source, { maxRetries: 2 });
    expect(result).toMatchObject({ written: 10 });
    expect(attempts()).toBe(2);
    expect(await staleKeys(chain.db, 'embedding_384')).toEqual([]);
  });
});
