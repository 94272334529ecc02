import { describe, expect, test } from 'vitest';
import { fatalMessage } from '../../../src/db/embedded-frames.ts';
import { createTurns, type ProtocolRunner, type TurnClient } from '../../../src/db/embedded-turns.ts';

/** A session that understands BEGIN, COMMIT and ROLLBACK, and writes down what it is given. */
function fakeSession(answer?: (text: string) => Buffer | Error | undefined) {
  const ran: string[] = [];
  let inTransaction = false;
  const runner: ProtocolRunner = {
    async execProtocolRawStream(message, { onRawData }) {
      const text = Buffer.from(message)
        .toString('latin1')
        .replace(/[^A-Za-z0-9 ]/g, '');
      ran.push(text);
      if (text.includes('BEGIN')) inTransaction = true;
      if (/COMMIT|ROLLBACK/.test(text)) inTransaction = false;
      const answered = answer?.(text);
      if (answered instanceof Error) throw answered;
      onRawData(answered ?? Buffer.from('I\0\0\0\x04', 'latin1'));
    },
    isInTransaction: () => inTransaction,
  };
  return { runner, ran };
}

function client(): TurnClient & { readonly failures: string[]; answers: number } {
  const made = {
    failures: [] as string[],
    answers: 0,
    send: () => {
      made.answers += 1;
    },
    fail: (reason: string) => void made.failures.push(reason),
  };
  return made;
}

const bytes = (text: string): Buffer => Buffer.from(text);

describe('turns at the one session', () => {
  test('a transaction is not interrupted, and the others go on after it', async () => {
    const { runner, ran } = fakeSession();
    const turns = createTurns(runner);
    const [one, two] = [client(), client()];
    turns.join(one);
    turns.join(two);
    turns.take(one, bytes('BEGIN'), false);
    turns.take(two, bytes('other'), false);
    turns.take(one, bytes('mine'), false);
    await turns.settled();
    expect(ran).toEqual(['BEGIN', 'mine']);
    turns.take(one, bytes('COMMIT'), false);
    await turns.settled();
    expect(ran).toEqual(['BEGIN', 'mine', 'COMMIT', 'other']);
  });

  test('an extended query that was flushed keeps the session until its Sync', async () => {
    const { runner, ran } = fakeSession();
    const turns = createTurns(runner);
    const [one, two] = [client(), client()];
    turns.join(one);
    turns.join(two);
    turns.take(one, bytes('part'), true);
    turns.take(two, bytes('other'), false);
    await turns.settled();
    expect(ran).toEqual(['part']);
    turns.take(one, bytes('rest'), false);
    await turns.settled();
    expect(ran).toEqual(['part', 'rest', 'other']);
  });

  test('who leaves inside a transaction is rolled back before the next one', async () => {
    const { runner, ran } = fakeSession();
    const turns = createTurns(runner);
    const [one, two] = [client(), client()];
    turns.join(one);
    turns.join(two);
    turns.take(one, bytes('BEGIN'), false);
    turns.take(two, bytes('other'), false);
    await turns.settled();
    turns.leave(one);
    await turns.settled();
    expect(ran.map((text) => text.replace(/^.*ROLLBACK/, 'ROLLBACK'))).toEqual(['BEGIN', 'ROLLBACK', 'other']);
  });

  test.each([
    ['throws', new Error('unreachable executed')],
    ['panics', Buffer.from(fatalMessage('53100', 'disk').toString('latin1').replaceAll('FATAL', 'PANIC'), 'latin1')],
  ])('a session that %s ends every connection with the reason, later ones too', async (_, answer) => {
    const { runner } = fakeSession((text) => (text === 'bad' ? answer : undefined));
    const turns = createTurns(runner);
    const [one, two, late] = [client(), client(), client()];
    turns.join(one);
    turns.join(two);
    turns.take(one, bytes('bad'), false);
    turns.take(two, bytes('other'), false);
    await turns.settled();
    turns.join(late);
    for (const each of [one, two, late]) {
      expect(each.failures).toEqual([expect.stringMatching(/has stopped: (unreachable executed|disk)/)]);
    }
    expect(turns.failure()).toContain('has stopped');
  });
});
