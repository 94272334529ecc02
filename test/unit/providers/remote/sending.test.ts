import { describe, expect, test } from 'vitest';
import { InterruptedError } from '../../../../src/errors.ts';
import type { UsageLedger } from '../../../../src/providers/types.ts';
import { hashVectors } from '../../../helpers/scripted-protocols.ts';
import { busy, failureOf, openAt, scripted, status, TEXTS } from './remote-bed.ts';

const DOCUMENT = { kind: 'document' } as const;

describe('the ledger', () => {
  function recording(): UsageLedger & { readonly calls: unknown[] } {
    const calls: unknown[] = [];
    return {
      calls,
      admit: async (tokens) => void calls.push(['admit', tokens]),
      settle: async (admitted, usage) => void calls.push(['settle', admitted, usage]),
    };
  }

  test('hears of every attempt what it took: as counted, nothing when refused, the estimate when the answer was lost', async () => {
    const server = await scripted();
    const ledger = recording();
    const provider = await openAt(server, 'openai', { ledger });
    server.script(status(500), { kind: 'cut' });
    const { tokens } = await provider.embed(['four words of text'], DOCUMENT);
    const [, estimate] = ledger.calls[0] as [string, number];
    const settled = (count: number) => ['settle', estimate, { requests: 1, tokens: count }];
    const admit = ['admit', estimate];
    expect(ledger.calls).toEqual([admit, settled(0), admit, settled(estimate), admit, settled(4)]);
    expect(tokens).toBe(4);
  });

  test('that is out of money ends the work with its own error, before any request', async () => {
    const server = await scripted();
    const out = new InterruptedError('budget_reached', 'The budget is reached.');
    const ledger = { ...recording(), admit: async () => Promise.reject(out) };
    const provider = await openAt(server, 'openai', { ledger });
    expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toBe(out);
    expect(server.requests).toEqual([]);
  });
});

describe('concurrency', () => {
  const texts = Array.from({ length: 40 }, (_, i) => `text ${i}`);

  test('is EMBEDDING_MAX_REQUESTS at most, and used', async () => {
    const server = await scripted();
    server.rule = () => ({ kind: 'ok', delayMs: 20 });
    const provider = await openAt(server, 'openai', { batchSize: 1, env: { EMBEDDING_MAX_REQUESTS: '4' } });
    expect((await provider.embed(texts, DOCUMENT)).vectors).toEqual(await hashVectors(texts, 8));
    expect(server.mostInFlight()).toBe(4);
    expect(server.requests).toHaveLength(40);
  });

  test('shrinks while a service is busy, so that it refuses few and loses none', async () => {
    const server = await scripted();
    server.rule = ({ inFlight }) => (inFlight > 2 ? busy : { kind: 'ok', delayMs: 5 });
    const provider = await openAt(server, 'openai', { batchSize: 1, maxRetries: 1 });
    expect((await provider.embed(texts, DOCUMENT)).vectors).toEqual(await hashVectors(texts, 8));
    const answered = new Set(server.requests.flatMap((request) => request.texts));
    expect(answered.size).toBe(40);
    expect(server.requests.every((request) => request.texts.length === 1)).toBe(true);
  });
});
