import { loadEnvironment } from '../config/load-environment.ts';
import { readLogFormat } from '../config/runtime.ts';
import type { ExitCode } from './command.ts';
import { exitCodeOf } from './exit-code.ts';
import { createOutput } from './output.ts';
import { parseArguments } from './parse-arguments.ts';

export interface RunOptions {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly version: string;
  readonly signal: AbortSignal;
}

/** One run of the command line, from the arguments to the exit code. Prints every failure and throws none. */
export async function run({ argv, cwd, version, signal }: RunOptions): Promise<ExitCode> {
  // Read by hand: they say how to print even what is wrong with the arguments themselves.
  const json = argv.includes('--json');
  const verbose = argv.includes('--verbose');
  let log = readLogFormat();
  try {
    loadEnvironment(cwd);
    log = readLogFormat();
    const chosen = await parseArguments(argv, version);
    if (chosen === undefined) return 0;
    const output = createOutput({ json, verbose, log });
    try {
      return await chosen({ cwd, signal, output });
    } catch (error) {
      output.failure(error);
      return exitCodeOf(error);
    }
  } catch (error) {
    createOutput({ json, verbose, log }).failure(error);
    return exitCodeOf(error);
  }
}
