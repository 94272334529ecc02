import { expect, test, vi } from 'vitest';
import * as errors from '../../src/errors.ts';

test('an error of a second copy of this package is told by its class all the same', async () => {
  vi.resetModules();
  const copy = await import('../../src/errors.ts');
  expect(copy.BusyError).not.toBe(errors.BusyError);
  const busy: unknown = new copy.BusyError('busy', 'Somebody else is at work.');
  expect(busy).toBeInstanceOf(errors.BusyError);
  expect(busy).toBeInstanceOf(errors.ReembedError);
  expect(busy).not.toBeInstanceOf(errors.ConfigError);
});

test('what is not of ours is none, whatever its name, and what is made of ours stays one', () => {
  class OwnError extends errors.ConfigError {}
  expect(new OwnError('own', 'own')).toBeInstanceOf(errors.ConfigError);
  expect(Object.assign(new Error('busy'), { name: 'BusyError' })).not.toBeInstanceOf(errors.BusyError);
  expect({ name: 'BusyError' }).not.toBeInstanceOf(errors.ReembedError);
  expect(undefined).not.toBeInstanceOf(errors.ReembedError);
});
