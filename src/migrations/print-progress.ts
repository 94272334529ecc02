import type { OnProgress, ProgressEvent } from '../progress.ts';
import { progressText } from '../reports/progress-text.ts';

const LINE_EVERY_MS = 5_000;
const BAR_EVERY_MS = 100;

/** Prints progress on stderr, which leaves stdout to knex: one moving line on a terminal, a line every few seconds elsewhere. */
export function printProgress(stream: NodeJS.WriteStream, format: 'text' | 'json'): OnProgress {
  const moving = stream.isTTY === true && format === 'text';
  let last = 0;
  let open = false;
  return (event) => {
    if (isFrequent(event)) {
      const now = Date.now();
      if (now - last < (moving ? BAR_EVERY_MS : LINE_EVERY_MS) && !isComplete(event)) return;
      last = now;
    }
    if (format === 'json') {
      stream.write(`${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`);
      return;
    }
    const text = `reembed: ${progressText(event)}`;
    if (moving && isFrequent(event)) {
      stream.write(`\r${text}\u001b[K`);
      open = true;
      return;
    }
    stream.write(`${open ? '\n' : ''}${text}\n`);
    open = false;
  };
}

function isFrequent(event: ProgressEvent): boolean {
  return event.kind === 'rows' || event.kind === 'index';
}

function isComplete(event: ProgressEvent): boolean {
  return event.kind === 'rows' && event.done >= event.total;
}
