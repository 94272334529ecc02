import { describe, expect, it } from 'vitest';
import { withRetries } from '../../../src/backfill/retry.ts';
import { ProviderError } from '../../../src/errors.ts';

function sqlError(code: string): Error {
  return Object.assign(new Error(`SQLSTATE ${code}`), { code, severity: 'ERROR' });
}

/** Fails with the given errors in turn, then succeeds; counts its calls. */
function failing(errors: readonly Error[]): { work: () => Promise<string>; calls: () => number } {
  let calls = 0;
  return {
    work: async () => {
      const error = errors[calls];
      calls += 1;
      if (error !== undefined) throw error;
      return 'done';
    },
    calls: () => calls,
  };
}

describe('retries', () => {
  it('makes 3 attempts out of two deadlocks and a success', async () => {
    const { work, calls } = failing([sqlError('40P01'), sqlError('40P01')]);
    await expect(withRetries(work, { attempts: 3, signal: undefined })).resolves.toBe('done');
    expect(calls()).toBe(3);
  });

  it.each(['40001', '55P03', '57014', '57P01', '08006'])('tries again after %s', async (code) => {
    const { work, calls } = failing([sqlError(code)]);
    await expect(withRetries(work, { attempts: 3, signal: undefined })).resolves.toBe('done');
    expect(calls()).toBe(2);
  });

  it('tries again after a lost connection and after a provider that asks for it', async () => {
    const lost = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    const busy = new ProviderError('rate_limited', 'Too many requests.', { retryable: true });
    const { work, calls } = failing([lost, busy]);
    await expect(withRetries(work, { attempts: 3, signal: undefined })).resolves.toBe('done');
    expect(calls()).toBe(3);
  });

  it.each(['22000', '23505', '42501', '53100'])('does not try again after %s', async (code) => {
    const { work, calls } = failing([sqlError(code)]);
    await expect(withRetries(work, { attempts: 3, signal: undefined })).rejects.toMatchObject({ code });
    expect(calls()).toBe(1);
  });

  it('gives up after the last attempt with the error as it was', async () => {
    const last = sqlError('40P01');
    const { work, calls } = failing([sqlError('40P01'), sqlError('40P01'), last]);
    await expect(withRetries(work, { attempts: 3, signal: undefined })).rejects.toBe(last);
    expect(calls()).toBe(3);
  });

  it('stops trying when it is aborted', async () => {
    const controller = new AbortController();
    const { work, calls } = failing([sqlError('40P01'), sqlError('40P01')]);
    const running = withRetries(work, { attempts: 3, signal: controller.signal });
    controller.abort(new Error('stop'));
    await expect(running).rejects.toThrow();
    expect(calls()).toBeLessThan(3);
  });

  it('gives back a result that came although it was aborted meanwhile', async () => {
    const controller = new AbortController();
    const work = async (): Promise<string> => {
      controller.abort();
      return 'written';
    };
    await expect(withRetries(work, { attempts: 3, signal: controller.signal })).resolves.toBe('written');
  });
});
