import type { Worker } from 'node:worker_threads';
import { ModelError, messageOf } from '../errors.ts';
import { createNativeSection, drainNative } from '../models/native-section.ts';
import { startThread } from '../models/start-worker.ts';
import type { ApplyReply, ApplyRequest, ApplySetup } from './apply-messages.ts';
import type { InputFault } from './input-faults.ts';
import type { Matrix } from './types.ts';

interface Applied {
  readonly data: Float32Array;
  readonly faults: readonly InputFault[];
  readonly given: Float32Array;
}

interface Job {
  readonly resolve: (applied: Applied) => void;
  readonly reject: (error: unknown) => void;
}

/** The thread behind an adapter. It keeps the process alive only while it has work, and is never ended inside ONNX Runtime. */
export class ApplyThread {
  readonly #worker: Worker;
  readonly #jobs = new Map<number, Job>();
  readonly #ended: Promise<void>;
  readonly #closedError: () => Error;
  readonly #section = createNativeSection();
  readonly #drain = (): void => drainNative([this.#section]);
  #failure: Error | undefined;
  #count = 0;

  constructor(setup: Omit<ApplySetup, 'section'>, closedError: () => Error) {
    this.#closedError = closedError;
    const workerData: ApplySetup = { ...setup, section: this.#section };
    this.#worker = startThread('adapters/apply-worker', { workerData, name: 'reembed projection' });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('message', (reply: ApplyReply) => this.#receive(reply));
    this.#worker.on('error', (cause) => this.#fail(threadEnded(messageOf(cause), cause)));
    this.#worker.once('exit', (code) => this.#fail(threadEnded(`exit code ${code}`)));
    this.#worker.unref();
    process.once('exit', this.#drain);
  }

  apply({ rows, data }: Matrix, signal: AbortSignal | undefined): Promise<Applied> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      const abort = (): void => this.#settle(id)?.reject(signal?.reason);
      // Taken off again, because one signal lives through all batches of a backfill.
      function settle<T>(done: (value: T) => void): (value: T) => void {
        return (value) => {
          signal?.removeEventListener('abort', abort);
          done(value);
        };
      }
      signal?.addEventListener('abort', abort, { once: true });
      this.#jobs.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#worker.ref();
      const request: ApplyRequest = { kind: 'apply', id, rows, data };
      this.#worker.postMessage(request, ownsBuffer(data) ? [data.buffer] : []);
    });
  }

  async close(): Promise<void> {
    this.#fail(this.#closedError());
    this.#worker.ref();
    this.#worker.postMessage({ kind: 'close' } satisfies ApplyRequest);
    await this.#ended;
    process.off('exit', this.#drain);
  }

  #receive(reply: ApplyReply): void {
    const job = this.#settle(reply.id);
    if (reply.kind === 'applied') job?.resolve(reply);
    else {
      const { code, message, hint } = reply.failure;
      job?.reject(new ModelError(code, message, hint === undefined ? {} : { hint }));
    }
  }

  /** What was aborted is computed to its end, but nobody waits for it. */
  #settle(id: number): Job | undefined {
    const job = this.#jobs.get(id);
    this.#jobs.delete(id);
    if (this.#jobs.size === 0 && this.#failure === undefined) this.#worker.unref();
    return job;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#jobs.values()) reject(this.#failure);
    this.#jobs.clear();
  }
}

/** A view on a part of something else must not take the rest along; shared memory is shared anyway. */
function ownsBuffer(data: Float32Array): data is Float32Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength;
}

function threadEnded(reason: string, cause?: unknown): ModelError {
  return new ModelError('worker_crashed', `The thread that maps vectors ended unexpectedly: ${reason}.`, {
    hint: 'Run the same command again; if memory is short, lower REEMBED_BATCH_ROWS.',
    ...(cause === undefined ? {} : { cause }),
  });
}
