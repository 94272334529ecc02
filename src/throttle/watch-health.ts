import type { Queryable } from '../db/types.ts';
import { messageOf } from '../errors.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { saveThrottleLook } from '../state/pause.ts';
import type { SignalReading, ThrottleLevel } from '../state/throttle-look.ts';
import { AT_FULL_SPEED, type Decision, decide } from './decide.ts';
import type { Latency } from './latency.ts';
import { REMIND_MS } from './paused.ts';
import { type HealthReader, openHealthReader } from './read-health.ts';
import { describeReading, SIGNALS } from './signals.ts';

/** `status` reads what is kept so often, and at each change. */
const KEEP_MS = 5_000;

export interface HealthWatch {
  decision(): Decision;
  /** Looks, decides and tells what changed. A look that fails changes nothing, and is told once. */
  look(): Promise<void>;
}

/** Watches the database's health on behalf of one run. */
export function watchHealth(
  ctx: MigrationContext,
  db: Queryable,
  target: Pick<VectorTarget, 'schema' | 'table'>,
  latency: Latency,
): HealthWatch {
  const { runtime, definition, onProgress } = ctx;
  let reader: HealthReader | undefined;
  let decision = AT_FULL_SPEED;
  let failed = false;
  let kept = Number.NEGATIVE_INFINITY;
  let told = 0;
  const notice = (message: string): void => {
    told = performance.now();
    onProgress({ kind: 'notice', message });
  };

  async function look(): Promise<void> {
    const first = reader === undefined;
    reader ??= await openHealthReader(db, target, runtime.throttle, latency);
    const signals = await reader.read();
    if (first) tellUnknown(signals, reader.role, notice);
    const before = decision.level;
    decision = decide(decision, signals);
    const changed = decision.level !== before;
    const reminds = decision.level === 'pause' && performance.now() - told >= REMIND_MS;
    if (changed || reminds) notice(levelText(decision, before, signals));
    if (!changed && performance.now() - kept < KEEP_MS) return;
    kept = performance.now();
    const at = new Date().toISOString();
    await saveThrottleLook(db, runtime.stateSchema, definition.id, { ...decision, signals, at });
  }

  return {
    decision: () => decision,
    async look() {
      try {
        await look();
        failed = false;
      } catch (error) {
        if (!failed) {
          const message = `The database's health could not be looked at: ${messageOf(error)}. The run goes on as before.`;
          onProgress({ kind: 'warning', message });
        }
        failed = true;
      }
    },
  };
}

function levelText(decision: Decision, before: ThrottleLevel, signals: readonly SignalReading[]): string {
  const reasons = signals.filter(({ name }) => decision.reasons.includes(name)).map(describeReading);
  if (decision.level === 'run') return 'At full speed again.';
  if (decision.level === 'pause') return `${before === 'pause' ? 'Still paused' : 'Paused'}: ${reasons.join('; ')}.`;
  if (before === 'pause') return 'Goes on slowly.';
  return `Slowed down: ${reasons.join('; ')}.`;
}

/** Once a run: what is not seen is not watched. */
function tellUnknown(signals: readonly SignalReading[], role: string, notice: (message: string) => void): void {
  const hidden = signals.filter(({ name, unknown }) => unknown !== undefined && name !== 'wal' && name !== 'latency');
  if (hidden.length === 0) return;
  const labels = hidden.map(({ name }) => SIGNALS[name].label.toLowerCase().replace('wal', 'WAL'));
  notice(
    `Not watched, because the role ${role} does not see it: ${labels.join(', ')}. "GRANT pg_monitor TO ${role}" shows it.`,
  );
}
