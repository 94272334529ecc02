import { readFileSync } from 'node:fs';
import { InterruptedError } from '../errors.ts';
import { run } from './run.ts';

const FORCED_EXIT = 130;

/** The package's own version; `package.json` lies two folders up in the sources and three in the build. */
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version);
    } catch {
      // The build's own folder may hold no package.json: look one further up.
    }
  }
  return 'unknown';
}

/** The first signal stops at the next batch boundary, the second one at once; both can be resumed. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(FORCED_EXIT);
    process.stderr.write('\nreembed: stopping at the next safe place; once more to stop at once.\n');
    controller.abort(
      new InterruptedError('interrupted', `Stopped by ${name}; everything written so far is kept.`, {
        hint: 'Run the same command again: it goes on where it stopped.',
      }),
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return controller.signal;
}

/** A reader that went away, as `| head` does, is no failure of ours. */
function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write('', () => resolve()));
}

ignoreClosedPipe(process.stdout);
ignoreClosedPipe(process.stderr);
const argv = process.argv.slice(2);
const code = await run({ argv, cwd: process.cwd(), version: readVersion(), signal: stopOnSignals() });
await Promise.all([flush(process.stdout), flush(process.stderr)]);
// Explicitly: an embedded Postgres that a knexfile started would keep the process alive.
process.exit(code);
