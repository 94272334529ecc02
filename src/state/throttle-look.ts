import type { SignalName } from '../config/types.ts';

/** `slow`: a smaller share of the time; `pause`: nothing until the reasons are gone. */
export type ThrottleLevel = 'run' | 'slow' | 'pause';

/** One signal as it was seen. */
export interface SignalReading {
  readonly name: SignalName;
  /** In the unit of its limit; null where it is not known. */
  readonly value: number | null;
  readonly limit: number;
  /** The view or function that it was read from. */
  readonly source: string;
  /** Why the value is not known. */
  readonly unknown?: string;
}

/** What a run saw of the database's health, and what it did about it. */
export interface ThrottleLook {
  readonly level: ThrottleLevel;
  /** Of the time, 0..1, the operator's pace aside. */
  readonly share: number;
  readonly reasons: readonly SignalName[];
  readonly signals: readonly SignalReading[];
  readonly at: string;
}
