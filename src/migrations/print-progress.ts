import type { OnProgress, ProgressEvent } from '../progress.ts';
import { progressBar, progressText } from '../reports/progress-text.ts';

const LINE_EVERY_MS = 5_000;
const BAR_EVERY_MS = 100;
const DEFAULT_COLUMNS = 80;
const PREFIX = 'reembed: ';

export interface ProgressPrinter {
  readonly onProgress: OnProgress;
  /** Ends a line that was moving, before something else is printed. */
  endLine(): void;
}

type ProgressStream = Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean; readonly columns?: number };

/** Prints progress on stderr, which leaves stdout to results: one moving bar on a terminal, a line every few seconds elsewhere. */
export function printProgress(stream: ProgressStream, format: 'text' | 'json'): ProgressPrinter {
  const moving = stream.isTTY === true && format === 'text';
  let last = 0;
  let open = false;
  const endLine = (): void => {
    if (open) stream.write('\n');
    open = false;
  };
  const onProgress = (event: ProgressEvent): void => {
    if (isFrequent(event)) {
      const now = Date.now();
      if (now - last < (moving ? BAR_EVERY_MS : LINE_EVERY_MS) && !isComplete(event)) return;
      last = now;
    }
    if (format === 'json') {
      stream.write(`${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`);
    } else if (moving && isFrequent(event)) {
      // One short of the width: a full line would wrap, and the next one could not overwrite it.
      const width = (stream.columns ?? DEFAULT_COLUMNS) - PREFIX.length - 1;
      stream.write(`\r${PREFIX}${progressBar(event, width)}\u001b[K`);
      open = true;
      if (isComplete(event)) endLine();
    } else {
      endLine();
      stream.write(`${PREFIX}${progressText(event)}\n`);
    }
  };
  return { onProgress, endLine };
}

function isFrequent(event: ProgressEvent): boolean {
  return event.kind === 'rows' || event.kind === 'index' || event.kind === 'download';
}

function isComplete(event: ProgressEvent): boolean {
  return (event.kind === 'rows' || event.kind === 'download') && event.done >= event.total;
}
