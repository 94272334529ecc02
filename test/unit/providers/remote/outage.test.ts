import { expect, test } from 'vitest';
import { InterruptedError } from '../../../../src/errors.ts';
import { openOutage } from '../../../../src/providers/remote/outage.ts';
import { RequestFailure } from '../../../../src/providers/remote/request-failure.ts';
import { sendWithRetries } from '../../../../src/providers/remote/send-with-retries.ts';
import { hashVectors } from '../../../helpers/scripted-protocols.ts';
import { failureOf, type OpenOptions, openAt, scripted, status, TEXTS } from './remote-bed.ts';

const DOCUMENT = { kind: 'document' } as const;
/** Pauses of 8 ms at first. */
const QUICK = { EMBEDDING_REQUEST_TIMEOUT: '1s' };

/** As a step opens a provider, with what it tells. */
async function patient(options: OpenOptions = {}) {
  const server = await scripted();
  const notices: string[] = [];
  const onNotice = (message: string): void => void notices.push(message);
  const provider = await openAt(server, 'openai', { waitsForService: true, onNotice, ...options });
  return { server, provider, notices };
}

test('a service that has answered and then stops is waited for, which is told once, and so is that it is back', async () => {
  const { server, provider, notices } = await patient({ env: QUICK });
  await provider.embed(TEXTS, DOCUMENT);
  server.script(...Array(3).fill(status(503)), { kind: 'reset' }, { kind: 'cut' }, status(500));
  expect((await provider.embed(TEXTS, DOCUMENT)).vectors).toEqual(await hashVectors(TEXTS, 8));
  expect(server.requests.length).toBeGreaterThanOrEqual(8);
  expect(notices).toEqual([
    expect.stringMatching(/ It is asked again until \d\d:\d\d:\d\d UTC \(EMBEDDING_DEADLINE\); Ctrl-C ends/),
    expect.stringMatching(/^The service answers again, after \d+ s\.$/),
  ]);
});

test('it is waited for until the deadline and no longer', async () => {
  const { server, provider, notices } = await patient({ env: { ...QUICK, EMBEDDING_DEADLINE: '2s' } });
  await provider.embed(TEXTS, DOCUMENT);
  server.rule = () => status(500, { detail: 'out of memory' });
  const error = await failureOf(provider.embed(TEXTS, DOCUMENT));
  expect(error).toMatchObject({ code: 'service_failed', scope: 'service', retryable: false });
  expect(error.message).toMatch(/Given up after \d+ attempts \(REEMBED_MAX_RETRIES=3, EMBEDDING_DEADLINE=2s\)\.$/);
  expect(server.requests.length).toBeGreaterThan(4);
  expect(notices).toHaveLength(1);
});

test('one that never answered, and one that nobody waits for, fails after REEMBED_MAX_RETRIES', async () => {
  const { server, provider, notices } = await patient();
  server.rule = () => status(502);
  expect(await failureOf(provider.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'service_failed' });
  expect(server.requests).toHaveLength(3);
  expect(notices).toEqual([]);
  const query = await openAt(server, 'openai');
  server.script({ kind: 'ok' });
  await query.embed(TEXTS, DOCUMENT);
  expect(await failureOf(query.embed(TEXTS, DOCUMENT))).toMatchObject({ code: 'service_failed' });
  expect(server.requests).toHaveLength(7);
});

test('Ctrl-C ends the wait at once', async () => {
  const stop = new AbortController();
  const reason = new InterruptedError('interrupted', 'Stopped.');
  const { server, provider } = await patient({
    env: { EMBEDDING_REQUEST_TIMEOUT: '6s', EMBEDDING_DEADLINE: '1h' },
    onNotice: () => stop.abort(reason),
  });
  await provider.embed(TEXTS, DOCUMENT);
  server.rule = () => ({ kind: 'reset' });
  expect(await failureOf(provider.embed(TEXTS, { ...DOCUMENT, signal: stop.signal }))).toBe(reason);
  expect(server.requests).toHaveLength(4);
});

test('a request that fails while others are answered is no outage', async () => {
  const notices: string[] = [];
  const outage = openOutage((message) => notices.push(message));
  let sent = 0;
  const details = { kind: 'passing', code: 'service_failed', hint: '', scope: 'service', status: 500 } as const;
  const send = async (): Promise<never> => {
    sent += 1;
    outage.answered();
    throw new RequestFailure('It answered 500.', details);
  };
  const limits = { attempts: 3, deadlineMs: 60_000, firstPauseMs: 1, outage };
  const error = await failureOf(sendWithRetries(send, limits, new AbortController().signal));
  expect(error).toMatchObject({ code: 'service_failed' });
  expect(sent).toBe(3);
  expect(notices).toEqual([]);
});
