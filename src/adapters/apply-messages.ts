import type { NativeSection } from '../models/native-section.ts';
import type { InputFault } from './input-faults.ts';
import type { InputRange, Projection } from './types.ts';

/** What a mapping thread is started with. */
export interface ApplySetup {
  readonly projection: Projection;
  readonly range: InputRange;
  /** Inside the graph. */
  readonly threads: number;
  readonly section: NativeSection;
}

export type ApplyRequest =
  | { readonly kind: 'apply'; readonly id: number; readonly rows: number; readonly data: Float32Array }
  | { readonly kind: 'close' };

export interface ApplyFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

export type ApplyReply =
  | {
      readonly kind: 'applied';
      readonly id: number;
      readonly data: Float32Array;
      readonly faults: readonly InputFault[];
      /** What was sent, back. */
      readonly given: Float32Array;
    }
  | { readonly kind: 'rejected'; readonly id: number; readonly failure: ApplyFailure };
