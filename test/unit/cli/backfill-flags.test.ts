import { expect, test } from 'vitest';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';

test('backfill takes its flags alone, and refuses together what asks for two things', async () => {
  for (const args of [[], ['--recheck'], ['--adapter', 'auto'], ['--recheck', '--adapter', 'x'], ['--replace-adapted']])
    expect(await parseArguments(['backfill', ...args], '0')).toBeTypeOf('function');
  for (const other of [['--adapter', 'auto'], ['--recheck']])
    await expect(parseArguments(['backfill', '--replace-adapted', ...other], '0')).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('mutually exclusive'),
    });
});
