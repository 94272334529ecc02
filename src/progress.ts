import type { Step } from './errors.ts';

/** What a long function tells its caller while it works. The library never prints; the CLI and the migrations do. */
export type ProgressEvent =
  | { readonly kind: 'step'; readonly step: Step; readonly message: string }
  | { readonly kind: 'notice'; readonly message: string }
  | { readonly kind: 'warning'; readonly message: string }
  | {
      readonly kind: 'rows';
      /** Rows written in this run and before it, and the estimate of all. */
      readonly done: number;
      readonly total: number;
      /** Rows per second over the last seconds. */
      readonly rate: number;
      /** Tokens per second over the same time; undefined where nobody counts them. */
      readonly tokenRate?: number | undefined;
      readonly etaSeconds: number | undefined;
      /** Of the time in which the run works, where the pace or the throttle gives it less than all. */
      readonly share?: number;
    }
  | {
      readonly kind: 'download';
      /** The file that is being read, relative to the model's directory. */
      readonly file: string;
      /** Bytes of all files: those that are here, earlier runs' among them, and all. */
      readonly done: number;
      readonly total: number;
      /** Bytes per second since this run began. */
      readonly rate: number;
      readonly etaSeconds: number | undefined;
    }
  | {
      readonly kind: 'index';
      readonly index: string;
      /** As pg_stat_progress_create_index names it, e.g. `building index: loading tuples`. */
      readonly phase: string;
      /** 0..1, undefined where Postgres does not say. */
      readonly fraction: number | undefined;
    };

export type OnProgress = (event: ProgressEvent) => void;
