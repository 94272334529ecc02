// The speed test: how large a batch is fastest on this machine, and how many texts a second that gives.
//   npm run bench:speed -- [--texts FILE] [--model NAME] [--limit 1000] [--rounds 5] [--compare] [--baseline 40]
// `--baseline` is what the old model makes, in texts per second; the last line then says how many times that it is.

import { parseArgs } from 'node:util';
import { bench } from '../src/bench/bench.ts';
import { chooseBenchModel } from '../src/bench/choose-model.ts';
import { errorText } from '../src/cli/describe-error.ts';
import { exitCodeOf } from '../src/cli/exit-code.ts';
import { loadEnvironment } from '../src/config/load-environment.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { ConfigError, messageOf } from '../src/errors.ts';
import type { OnProgress } from '../src/progress.ts';
import { benchReport } from '../src/reports/bench-report.ts';
import { progressText } from '../src/reports/progress-text.ts';

const USAGE = 'Run "npm run bench:speed -- [--texts FILE] [--model NAME] [--limit 1000] [--rounds 5] [--baseline 40]".';

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        texts: { type: 'string' },
        model: { type: 'string' },
        limit: { type: 'string', default: '1000' },
        rounds: { type: 'string', default: '5' },
        compare: { type: 'boolean', default: false },
        baseline: { type: 'string' },
      },
    });
    const { baseline } = values;
    return {
      ...values,
      limit: positive('limit', values.limit, true),
      rounds: positive('rounds', values.rounds, true),
      baseline: baseline === undefined ? undefined : positive('baseline', baseline, false),
    };
  } catch (cause) {
    throw new ConfigError('usage', `${messageOf(cause)}`, { step: 'configuration', hint: USAGE, cause });
  }
}

function positive(flag: string, text: string, whole: boolean): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value) && (!whole || Number.isSafeInteger(value))) return value;
  throw new Error(`--${flag} is ${JSON.stringify(text)}, expected a ${whole ? 'whole ' : ''}number above 0`);
}

async function main(): Promise<void> {
  const { baseline, model, ...flags } = readFlags();
  loadEnvironment();
  const runtime = loadRuntimeSettings();
  const chosen = await chooseBenchModel({ model, cwd: process.cwd(), modelsDir: runtime.modelsDir });
  if (chosen.note !== undefined) console.error(chosen.note);
  const onProgress: OnProgress = (event) => console.error(progressText(event));
  const result = await bench({ ...runtime, ...chosen, ...flags, onProgress });
  console.log(benchReport(result, baseline));
}

try {
  await main();
} catch (error) {
  console.error(errorText(error, false));
  process.exitCode = exitCodeOf(error);
}
