import type { SignalName } from '../config/types.ts';
import type { SignalReading, ThrottleLook } from '../state/throttle-look.ts';
import { SIGNALS } from './signals.ts';

export type Decision = Pick<ThrottleLook, 'level' | 'share' | 'reasons'>;

export const AT_FULL_SPEED: Decision = { level: 'run', share: 1, reasons: [] };

/** A signal that pauses begins to slow at this part of its limit. */
const SLOWS_AT = 0.5;
/** What has been exceeded counts as over below this part of it: at the limit itself it would flutter. */
const OVER_BELOW = 0.8;
/** After a pause, and at least, whatever the signals say. */
const SMALLEST_SHARE = 0.1;
/** How much the share may lose and gain from one look to the next. */
const [STEEPEST_LOSS, GENTLEST_LOSS, GAIN] = [0.5, 0.9, 1.5];

/**
 * What to do after a look at the database. Past a limit the run pauses, and goes on at the smallest share once what exceeded it is well below;
 * a signal that rises makes the share smaller look by look, by as much as it is too high, until it stops to rise; then the share grows again.
 * Pure; signals whose value is not known count neither way.
 */
export function decide(before: Decision, readings: readonly SignalReading[]): Decision {
  const known = readings.filter((reading) => reading.value !== null);
  const stopping = known.filter((reading) => mustPause(reading, before));
  if (stopping.length > 0) return { level: 'pause', share: SMALLEST_SHARE, reasons: names(stopping) };
  const slowing = known.filter((reading) => excess(reading) > 1);
  if (slowing.length > 0) return { level: 'slow', share: smaller(before.share, slowing), reasons: names(slowing) };
  if (before.share === 1) return AT_FULL_SPEED;
  // Between the two marks nothing moves.
  const near = known.filter((reading) => excess(reading) > OVER_BELOW);
  if (near.length > 0) return { level: 'slow', share: before.share, reasons: names(near) };
  const share = Math.min(1, before.share * GAIN);
  return share === 1 ? AT_FULL_SPEED : { level: 'slow', share, reasons: before.reasons };
}

function mustPause({ name, value, limit }: SignalReading, before: Decision): boolean {
  if (!SIGNALS[name].pauses || value === null) return false;
  const held = before.level === 'pause' && before.reasons.includes(name);
  return value > (held ? limit * OVER_BELOW : limit);
}

/** How far a signal is above where it begins to slow; 1 is there. */
function excess({ name, value, limit }: SignalReading): number {
  const mark = SIGNALS[name].pauses ? limit * SLOWS_AT : limit;
  if (value === null || value <= 0) return 0;
  return mark === 0 ? Number.POSITIVE_INFINITY : value / mark;
}

function smaller(share: number, slowing: readonly SignalReading[]): number {
  const worst = Math.max(...slowing.map(excess));
  const floor = Math.min(...slowing.map(({ name }) => SIGNALS[name].floor));
  const factor = Math.min(GENTLEST_LOSS, Math.max(STEEPEST_LOSS, 1 / worst));
  // What something worse has brought lower stays there.
  return Math.min(share, Math.max(floor, share * factor));
}

function names(readings: readonly SignalReading[]): SignalName[] {
  return readings.map((reading) => reading.name);
}
