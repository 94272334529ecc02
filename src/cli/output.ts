import { printProgress } from '../migrations/print-progress.ts';
import type { OnProgress } from '../progress.ts';
import { errorDocument, errorText } from './describe-error.ts';

export interface OutputOptions {
  readonly json: boolean;
  readonly verbose: boolean;
  /** Progress and errors as JSON lines (`REEMBED_LOG=json`). */
  readonly log: 'text' | 'json';
}

/** Results on stdout, everything else on stderr. With `--json` stdout is exactly one document, of a failure as well. */
export interface Output {
  readonly json: boolean;
  readonly onProgress: OnProgress;
  /** The result: `value` with `--json`, else `text`. Once per run. */
  result(value: unknown, text: string): void;
  /** A line for the person who watches. */
  note(text: string): void;
  /** The failure, with what was done before it (`partial` joins the JSON document). */
  failure(error: unknown, partial?: Readonly<Record<string, unknown>>): void;
}

export function createOutput(options: OutputOptions): Output {
  const { onProgress, endLine } = printProgress(process.stderr, options.log);
  return {
    json: options.json,
    onProgress,
    result(value, text) {
      endLine();
      process.stdout.write(options.json ? `${documentText(value)}\n` : withNewline(text));
    },
    note(text) {
      onProgress({ kind: 'notice', message: text });
    },
    failure(error, partial = {}) {
      endLine();
      if (options.json) process.stdout.write(`${documentText({ error: errorDocument(error), ...partial })}\n`);
      else if (options.log === 'json') process.stderr.write(`${JSON.stringify(logLine(error))}\n`);
      else process.stderr.write(`${errorText(error, options.verbose)}\n`);
    },
  };
}

function logLine(error: unknown): unknown {
  return { at: new Date().toISOString(), kind: 'error', ...errorDocument(error) };
}

/** JSON with bigints as strings: a key above 2^53 must not be rounded. */
function documentText(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? each.toString() : each), 2);
}

function withNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
