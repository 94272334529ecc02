import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AdaptiveConcurrency, type Permit } from '../../../../src/providers/remote/concurrency.ts';
import { memoryLedger } from '../../../../src/providers/remote/memory-ledger.ts';
import { estimatedTokens, packRequests } from '../../../../src/providers/remote/pack-requests.ts';
import { retryAfterMs } from '../../../../src/providers/remote/retry-after.ts';

const { signal } = new AbortController();

describe('requests', () => {
  const limits = { items: 5, tokens: 40, bytes: 120, tokensPerText: 30, refusesLong: false };
  const size = (texts: readonly string[]) => Buffer.byteLength(texts.map((text) => JSON.stringify(text)).join(','));

  test('keep to items, tokens and bytes, lose nothing and keep the order', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 80 }), { maxLength: 40 }), (texts) => {
        const requests = packRequests(texts, limits);
        expect(requests.flat()).toEqual(texts);
        for (const request of requests) {
          if (request.length === 1) continue;
          expect(request.length).toBeLessThanOrEqual(limits.items);
          expect(estimatedTokens(request, limits)).toBeLessThanOrEqual(limits.tokens);
          expect(size(request)).toBeLessThanOrEqual(limits.bytes);
        }
      }),
    );
  });

  test('are as few as the limits allow', () => {
    expect(packRequests(Array(11).fill('a'), limits).map((request) => request.length)).toEqual([5, 5, 1]);
    expect(packRequests(['a', 'x'.repeat(500), 'b'], limits).map((request) => request.length)).toEqual([1, 1, 1]);
  });
});

describe('concurrency', () => {
  async function take(concurrency: AdaptiveConcurrency, count: number): Promise<Permit[]> {
    return Promise.all(Array.from({ length: count }, () => concurrency.acquire(signal, false)));
  }

  test('halves once for all requests that were in flight when a service said that it is too much', async () => {
    const concurrency = new AdaptiveConcurrency(8);
    for (const permit of await take(concurrency, 8)) permit.release('congested');
    expect(concurrency.limit).toBe(4);
    for (const permit of await take(concurrency, 4)) permit.release('congested');
    expect(concurrency.limit).toBe(2);
  });

  test('never falls below one, and grows by one a round of answers, back to where it was', async () => {
    const concurrency = new AdaptiveConcurrency(4);
    for (let i = 0; i < 10; i++) for (const permit of await take(concurrency, 1)) permit.release('congested');
    expect(concurrency.limit).toBe(1);
    const grown: number[] = [];
    for (let round = 0; round < 6; round++) {
      for (const permit of await take(concurrency, concurrency.limit)) permit.release('answered');
      grown.push(concurrency.limit);
    }
    expect(grown[0]).toBe(2);
    expect(grown).toEqual(grown.toSorted((a, b) => a - b));
    expect(grown.at(-1)).toBe(4);
  });

  test('other failures leave it as it is', async () => {
    const concurrency = new AdaptiveConcurrency(4);
    for (const permit of await take(concurrency, 4)) permit.release('failed');
    expect(concurrency.limit).toBe(4);
  });

  test('a retry goes before what was never sent', async () => {
    const concurrency = new AdaptiveConcurrency(1);
    const [first] = await take(concurrency, 1);
    const order: string[] = [];
    const wait = (name: string, isRetry: boolean) =>
      concurrency.acquire(signal, isRetry).then((permit) => {
        order.push(name);
        permit.release('answered');
      });
    const waiting = [wait('new', false), wait('retry', true)];
    first?.release('answered');
    await Promise.all(waiting);
    expect(order).toEqual(['retry', 'new']);
  });

  test('who leaves the queue takes no place', async () => {
    const concurrency = new AdaptiveConcurrency(1);
    const [first] = await take(concurrency, 1);
    const stop = new AbortController();
    const left = concurrency.acquire(stop.signal, false);
    const next = concurrency.acquire(signal, false);
    stop.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    first?.release('answered');
    expect(await next).toBeDefined();
  });
});

describe('with the clock in hand', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Which of the promises are settled by now. */
  async function settled(promises: readonly Promise<unknown>[]): Promise<boolean[]> {
    const flags = promises.map(() => false);
    for (const [i, promise] of promises.entries()) {
      promise.then(
        () => {
          flags[i] = true;
        },
        () => {
          flags[i] = true;
        },
      );
    }
    await vi.advanceTimersByTimeAsync(0);
    return flags;
  }

  test('nothing is sent while a service asks for a pause', async () => {
    const concurrency = new AdaptiveConcurrency(4);
    (await concurrency.acquire(signal, false)).release('congested', 5000);
    const waiting = [concurrency.acquire(signal, true)];
    await vi.advanceTimersByTimeAsync(4900);
    expect(await settled(waiting)).toEqual([false]);
    await vi.advanceTimersByTimeAsync(200);
    expect(await settled(waiting)).toEqual([true]);
  });

  test('the ledger keeps any 60 seconds under the requests a minute', async () => {
    const ledger = memoryLedger({ requestsPerMinute: 2, tokensPerMinute: undefined });
    const admitted = [1, 2, 3, 4, 5].map((tokens) => ledger.admit(tokens, undefined));
    expect(await settled(admitted)).toEqual([true, true, false, false, false]);
    await vi.advanceTimersByTimeAsync(59_000);
    expect(await settled(admitted)).toEqual([true, true, false, false, false]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await settled(admitted)).toEqual([true, true, true, true, false]);
  });

  test('the ledger keeps tokens a minute, by what was really used', async () => {
    const ledger = memoryLedger({ requestsPerMinute: undefined, tokensPerMinute: 100 });
    await ledger.admit(90, undefined);
    const waiting = [ledger.admit(50, undefined)];
    expect(await settled(waiting)).toEqual([false]);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(await settled(waiting)).toEqual([true]);
    await ledger.settle(50, { requests: 1, tokens: 10 });
    expect(await settled([ledger.admit(90, undefined)])).toEqual([true]);
  });

  test('the ledger sends alone what is more than a minute may have, and lets a wait be aborted', async () => {
    const ledger = memoryLedger({ requestsPerMinute: undefined, tokensPerMinute: 100 });
    await ledger.admit(500, undefined);
    const before = ledger.admit(1, undefined);
    const stop = new AbortController();
    // Although the one before it still waits.
    const waiting = expect(ledger.admit(1, stop.signal)).rejects.toThrow('stopped');
    stop.abort(new Error('stopped'));
    await waiting;
    await vi.advanceTimersByTimeAsync(61_000);
    await before;
  });
});

test('Retry-After is seconds or a date, its own header in milliseconds, or in the body', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const wait = (headers: Readonly<Record<string, string>>, body?: unknown) =>
    retryAfterMs(new Headers(headers), body, now);
  expect(wait({ 'retry-after': '7' })).toBe(7000);
  expect(wait({ 'retry-after': '0.5' })).toBe(500);
  expect(wait({ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' })).toBe(30_000);
  expect(wait({ 'retry-after': 'Wed, 31 Dec 2025 23:00:00 GMT' })).toBe(0);
  expect(wait({ 'retry-after': '60', 'retry-after-ms': '250' })).toBe(250);
  expect(wait({ 'retry-after': 'soon' })).toBeUndefined();
  expect(wait({ 'retry-after': '-5' })).toBeUndefined();
  expect(wait({}, { error: 'Model is loading', estimated_time: 20.5 })).toBe(20_500);
  expect(wait({}, { error: { details: [{ reason: 'x' }, { retryDelay: '34s' }] } })).toBe(34_000);
  expect(wait({}, 'busy')).toBeUndefined();
});
