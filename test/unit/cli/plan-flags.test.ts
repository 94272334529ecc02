import { expect, test } from 'vitest';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';

const GAIN = ['--queries-per-month', '1', '--recall-before', '0', '--recall-after', '1', '--value-per-query', '1'];
const ROI = ['--roi', ...GAIN, '--hours', '1', '--rate', '1'];

test.each([
  [
    ['--roi', '--hours', '3'],
    '--roi needs --queries-per-month, --recall-before, --recall-after, --value-per-query, --rate',
  ],
  [['--recall-before', '0.8'], '--recall-before is for --roi, which is missing'],
  [['--rows', '10'], '--rows is for --roi, which is missing'],
  [[...ROI, '--checklist'], '--checklist does not go with --roi'],
  [[...ROI, '--budget', '1'], '--budget does not go with --roi'],
  [[...ROI, '--tokens-per-row', '9'], '--tokens-per-row is for --rows; without it the table is looked at'],
  [['--checklist', '--sql'], '--sql does not go with --checklist'],
  [['--roi', '--recall-before', '80'], '--recall-before is "80", expected a number from 0 to 1'],
  [['--price', 'cheap'], '--price is "cheap", expected a number from 0'],
  [['--rows', '1.5'], '--rows is "1.5", expected a whole number from 1'],
])('plan %j is refused with a sentence', async (args, message) => {
  await expect(parseArguments(['plan', ...args], '0')).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining(message),
  });
});

test('plan takes its flags together where they make sense', async () => {
  for (const args of [
    [],
    ROI,
    [...ROI, '--rows', '9', '--tokens-per-row', '2.5', '--markdown'],
    ['--probe', '--sql', '--budget', '0.5'],
  ])
    expect(await parseArguments(['plan', ...args], '0')).toBeTypeOf('function');
});
