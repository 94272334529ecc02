import type { ThrottleLook } from '../state/throttle-look.ts';
import { formatLimit, SIGNALS } from '../throttle/signals.ts';

/** What the last run saw of the database, as lines of `status`: each signal with its value, its limit and where it was read. */
export function throttleLines({ level, share, reasons, signals, at }: ThrottleLook): [string, string][] {
  const why = reasons.map((name) => SIGNALS[name].label).join(', ');
  const levels = {
    run: 'at full speed',
    slow: `slowed to ${Math.round(share * 100)}% of the time: ${why}`,
    pause: `paused: ${why}`,
  };
  const lines = signals.map(({ name, value, limit, source, unknown }): [string, string] => {
    const { label, format, variable } = SIGNALS[name];
    const seen = value === null ? `unknown: ${unknown ?? 'not read'}` : format(value);
    return [`  ${label}`, `${seen} (limit ${formatLimit(name, limit)}, ${variable}; ${source})`];
  });
  return [['Throttle', `${levels[level]}, as seen at ${at}`], ...lines];
}
