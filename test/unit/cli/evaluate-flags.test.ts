import { expect, test } from 'vitest';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';

test.each([
  [['--min-overlap', '0.4'], '--min-overlap asks something of --from-shadow or --monitor, neither is given'],
  [['--from-shadow', '--min-overlap', '4'], '--min-overlap is "4", expected a number from 0 to 1'],
  [['--from-shadow', '--tolerance', '0.1'], 'tolerance'],
  [['--queries', 'q.txt', '--known-item', 'title'], 'known-item'],
  [['--judge-adapter'], '--judge-adapter asks for a verdict on the queries of --adapter, which is not given'],
])('evaluate %j is refused with a sentence', async (args, message) => {
  await expect(parseArguments(['evaluate', ...args], '0')).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining(message),
  });
});

test('evaluate takes --min-overlap with what it asks something of', async () => {
  for (const args of [['--from-shadow'], ['--monitor', '1m'], ['--monitor', '1m', '--queries', 'q.txt']])
    expect(await parseArguments(['evaluate', ...args, '--min-overlap', '0.4'], '0')).toBeTypeOf('function');
});
