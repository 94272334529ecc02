import { bytes } from '../amounts.ts';
import { plural } from '../plural.ts';
import type { ProgressEvent } from '../progress.ts';

/** A progress event as one plain line, without colour or cursor movement. */
export function progressText(event: ProgressEvent): string {
  switch (event.kind) {
    case 'step':
      return `${event.message} …`;
    case 'notice':
      return event.message;
    case 'warning':
      return `Warning: ${event.message}`;
    case 'rows':
      return `${rowsText(event.done)} of ${rowsText(event.total)} ${plural(event.total, 'row')}, ${ratesText(event)}${shareText(event.share)}${etaText(event.etaSeconds)}`;
    case 'download':
      return `${event.file}: ${bytes(event.done)} of ${bytes(event.total)}, ${bytes(event.rate)}/s${etaText(event.etaSeconds)}`;
    case 'index':
      return `${event.index}: ${event.phase}${event.fraction === undefined ? '' : ` ${Math.round(event.fraction * 100)}%`}`;
  }
}

const BAR_CELLS = 24;
const FEWEST_CELLS = 8;

/** The same with a bar before it, for a line that moves; at most `width` characters wide. Where that is little, the bar gives way to the text. */
export function progressBar(event: ProgressEvent, width: number): string {
  const fraction = fractionOf(event);
  const text = progressText(event);
  if (fraction === undefined) return text.slice(0, width);
  const percent = `${String(Math.floor(fraction * 100)).padStart(3)}% `;
  const cells = Math.min(BAR_CELLS, width - text.length - percent.length - 1);
  const bar = cells < FEWEST_CELLS ? '' : `${barText(fraction, cells)} `;
  return (bar + percent + text).slice(0, width);
}

function barText(fraction: number, cells: number): string {
  const filled = Math.round(fraction * cells);
  return '█'.repeat(filled) + '░'.repeat(cells - filled);
}

function fractionOf(event: ProgressEvent): number | undefined {
  if (event.kind === 'index') return event.fraction;
  if (event.kind !== 'rows' && event.kind !== 'download') return undefined;
  return event.total > 0 ? Math.min(1, event.done / event.total) : 1;
}

function ratesText(event: Extract<ProgressEvent, { kind: 'rows' }>): string {
  const tokens = event.tokenRate === undefined ? '' : `, ${rowsText(event.tokenRate)} tokens/s`;
  return `${rowsText(event.rate)} rows/s${tokens}`;
}

function shareText(share: number | undefined): string {
  return share === undefined ? '' : `, at work ${Math.max(1, Math.round(share * 100))}% of the time`;
}

function rowsText(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

function etaText(seconds: number | undefined): string {
  return seconds === undefined ? '' : `, ${durationText(seconds)} left`;
}

/** `42 s`, `3 min 20 s`, `2 h 5 min`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
