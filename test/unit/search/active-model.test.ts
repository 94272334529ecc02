import { describe, expect, it } from 'vitest';
import type { Queryable } from '../../../src/db/types.ts';
import { retryAfterSwap, withActiveModel } from '../../../src/search/active-model.ts';
import { transactionsOf } from '../../../src/search/transactions-of.ts';

function databaseError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

async function attemptsUntil(error: Error): Promise<number> {
  let attempts = 0;
  await retryAfterSwap(async () => {
    attempts++;
    if (attempts === 1) throw error;
  }).catch(() => undefined);
  return attempts;
}

describe('retryAfterSwap', () => {
  it.each([
    ['0A000', 'cached plan must not change result type', 2],
    ['22000', 'different vector dimensions 1536 and 384', 2],
    ['22000', 'expected 384 dimensions, not 1536', 2],
    ['22000', 'something else', 1],
    ['0A000', 'COPY FROM STDIN is not available', 1],
    ['23505', 'duplicate key value', 1],
  ])('%s "%s": %i attempt(s)', async (code, message, attempts) => {
    expect(await attemptsUntil(databaseError(code, message))).toBe(attempts);
  });

  it('gives up after the second time', async () => {
    const error = databaseError('22000', 'different vector dimensions 3 and 4');
    let attempts = 0;
    const failing = retryAfterSwap(async () => {
      attempts++;
      throw error;
    });
    await expect(failing).rejects.toBe(error);
    expect(attempts).toBe(2);
  });
});

/** A state that answers with one side after another, as it would around a swap; records what was begun. */
function stateOf(sides: ('old' | 'new')[]) {
  const tx: Queryable = {
    async query<R>(text: string) {
      const rows = text.includes('to_regclass')
        ? [{ found: true }]
        : text.startsWith('SELECT active')
          ? [{ active: sides.shift() }]
          : [];
      return { rows: rows as R[], rowCount: rows.length };
    },
  };
  return { transaction: <T>(work: (tx: Queryable) => Promise<T>) => work(tx) };
}

const options = {
  migration: { id: 'm', column: 'embedding' },
  encoders: { old: async () => [[1, 2]], new: async () => [[3]] },
};

describe('withActiveModel', () => {
  it('encodes with the model whose vectors the column holds', async () => {
    const work = async (active: { side: string; column: string; encode: (text: string) => Promise<string> }) => [
      active.side,
      active.column,
      await active.encode('q'),
    ];
    expect(await withActiveModel(stateOf(['old', 'old']), options, work)).toEqual(['old', '"embedding"', '[1,2]']);
    expect(await withActiveModel(stateOf(['new', 'new']), options, work)).toEqual(['new', '"embedding"', '[3]']);
  });

  it('throws a result away that a swap has divided, and does the request again', async () => {
    const seen: string[] = [];
    const result = await withActiveModel(stateOf(['old', 'new', 'new', 'new']), options, async ({ side, encode }) => {
      seen.push(side);
      return encode('q');
    });
    expect(seen).toEqual(['old', 'new']);
    expect(result).toBe('[3]');
  });
});

describe('transactionsOf', () => {
  function poolFailingWith(error: Error | undefined) {
    const log: string[] = [];
    const client = {
      async query(text: string) {
        log.push(text);
        if (text === 'work' && error !== undefined) throw error;
        return { rows: [], rowCount: null };
      },
      release: (destroy?: boolean) => void log.push(destroy === true ? 'destroyed' : 'kept'),
    };
    return { log, source: transactionsOf({ connect: async () => client }) };
  }

  it('commits and keeps the connection', async () => {
    const { log, source } = poolFailingWith(undefined);
    await source.transaction((tx) => tx.query('work'));
    expect(log).toEqual(['BEGIN', 'work', 'COMMIT', 'kept']);
  });

  it('rolls back and keeps the connection after an ordinary error', async () => {
    const { log, source } = poolFailingWith(databaseError('23505', 'duplicate key'));
    await expect(source.transaction((tx) => tx.query('work'))).rejects.toThrow('duplicate key');
    expect(log).toEqual(['BEGIN', 'work', 'ROLLBACK', 'kept']);
  });

  it('closes a connection whose prepared statement outlived a swap', async () => {
    const { log, source } = poolFailingWith(databaseError('0A000', 'cached plan must not change result type'));
    await expect(source.transaction((tx) => tx.query('work'))).rejects.toThrow('cached plan');
    expect(log.at(-1)).toBe('destroyed');
  });
});
