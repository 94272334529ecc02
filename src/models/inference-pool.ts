import type { Worker } from 'node:worker_threads';
import { ModelError, messageOf } from '../errors.ts';
import { createNativeSection, drainNative, type NativeSection } from './native-section.ts';
import { startWorker } from './start-worker.ts';
import type {
  EncodedBatch,
  SessionFacts,
  TokenBatch,
  WorkerFailure,
  WorkerReply,
  WorkerRequest,
  WorkerSetup,
} from './worker-messages.ts';

/** Batches given to a thread at a time: one runs, the next is there already when it ends. */
const IN_FLIGHT = 2;

interface Job {
  readonly id: number;
  readonly batch: TokenBatch;
  readonly resolve: (encoded: EncodedBatch) => void;
  readonly reject: (error: unknown) => void;
}

interface Member {
  readonly worker: Worker;
  readonly section: NativeSection;
  readonly jobs: Map<number, Job>;
  readonly ended: Promise<void>;
  readonly opened: (facts: SessionFacts) => void;
  failure: ModelError | undefined;
}

/**
 * Inference threads, each with a session of its own. Threads start when work waits for them, so that a single query
 * loads one model and a backfill one a core. An idle pool does not keep the process alive.
 */
export class InferencePool {
  readonly #setup: WorkerSetup;
  readonly #members = new Set<Member>();
  #threads = 1;
  #queue: Job[] = [];
  #nextId = 0;
  #closed = false;

  readonly #drain = (): void => drainNative([...this.#members].map(({ section }) => section));

  private constructor(setup: WorkerSetup) {
    this.#setup = setup;
    process.once('exit', this.#drain);
  }

  /**
   * Opens the first session, which tells the device and the dimensions.
   * @param threads inference threads on the CPU; other devices are served by one.
   * @throws ModelError when the session cannot be opened.
   */
  static async open(
    setup: WorkerSetup,
    threads: number,
  ): Promise<{ readonly pool: InferencePool; readonly facts: SessionFacts; readonly threads: number }> {
    const pool = new InferencePool(setup);
    const facts = await new Promise<SessionFacts>((resolve, reject) => {
      const first = pool.#start(resolve);
      void first.ended.then(() => reject(first.failure));
    }).catch((error: unknown) => {
      process.off('exit', pool.#drain);
      throw error;
    });
    for (const member of pool.#members) member.worker.unref();
    pool.#threads = facts.device === 'cpu' ? threads : 1;
    return { pool, facts, threads: pool.#threads };
  }

  /**
   * Encodes one batch; batches start in the order in which they come.
   * @throws ModelError when inference fails or the thread dies; the signal's reason when it aborts while the batch waits.
   */
  run(batch: TokenBatch, signal?: AbortSignal): Promise<EncodedBatch> {
    if (this.#closed) return Promise.reject(poolClosed());
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise<EncodedBatch>((resolve, reject) => {
      const job: Job = { id: this.#nextId++, batch, resolve: settle(resolve), reject: settle(reject) };
      const abort = (): void => this.#drop(job, signal?.reason);
      // Taken off again, because one signal lives through all batches of a backfill.
      function settle<T>(done: (value: T) => void): (value: T) => void {
        return (value) => {
          signal?.removeEventListener('abort', abort);
          done(value);
        };
      }
      signal?.addEventListener('abort', abort, { once: true });
      this.#queue.push(job);
      this.#dispatch();
    });
  }

  /** Ends the threads after the batch each is at; what still waits is rejected. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.reject(poolClosed());
    await Promise.all([...this.#members].map(closeMember));
    process.off('exit', this.#drain);
  }

  #drop(job: Job, reason: unknown): void {
    const before = this.#queue.length;
    this.#queue = this.#queue.filter((queued) => queued !== job);
    if (this.#queue.length < before) job.reject(reason);
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const member = this.#freest();
      const job = member === undefined ? undefined : this.#queue.shift();
      if (member === undefined || job === undefined) return;
      member.jobs.set(job.id, job);
      member.worker.ref();
      member.worker.postMessage({ kind: 'encode', id: job.id, batch: job.batch } satisfies WorkerRequest);
    }
  }

  #freest(): Member | undefined {
    let freest: Member | undefined;
    for (const member of this.#members) {
      if (freest === undefined || member.jobs.size < freest.jobs.size) freest = member;
    }
    if (this.#members.size < this.#threads && (freest === undefined || freest.jobs.size > 0)) {
      return this.#start();
    }
    return freest !== undefined && freest.jobs.size < IN_FLIGHT ? freest : undefined;
  }

  #start(opened: Member['opened'] = () => {}): Member {
    const section = createNativeSection();
    const worker = startWorker({ ...this.#setup, section });
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const member: Member = { worker, section, jobs: new Map(), ended, opened, failure: undefined };
    this.#members.add(member);
    worker.on('message', (reply: WorkerReply) => this.#receive(member, reply));
    worker.on('error', (cause) => {
      member.failure = crashed(messageOf(cause), member.jobs.size, cause);
    });
    worker.once('exit', (code) => this.#lose(member, code));
    return member;
  }

  #receive(member: Member, reply: WorkerReply): void {
    if (reply.kind === 'ready') {
      member.opened(reply.facts);
      return;
    }
    if (reply.kind === 'failed') {
      member.failure = errorOf(reply.failure);
      return;
    }
    const job = member.jobs.get(reply.id);
    member.jobs.delete(reply.id);
    if (member.jobs.size === 0) member.worker.unref();
    if (reply.kind === 'encoded') job?.resolve(reply.encoded);
    else job?.reject(errorOf(reply.failure));
    this.#dispatch();
  }

  /** A thread is gone: its batches fail, and the next one that waits starts another. */
  #lose(member: Member, code: number): void {
    this.#members.delete(member);
    member.failure ??= crashed(`exit code ${code}`, member.jobs.size);
    for (const job of member.jobs.values()) job.reject(this.#closed ? poolClosed() : member.failure);
    if (!this.#closed) this.#dispatch();
  }
}

/** Never by terminate(): see native-section.ts. */
async function closeMember(member: Member): Promise<void> {
  member.worker.ref();
  member.worker.postMessage({ kind: 'close' } satisfies WorkerRequest);
  await member.ended;
}

function errorOf(failure: WorkerFailure): ModelError {
  return new ModelError(failure.code, failure.message, failure.hint === undefined ? undefined : { hint: failure.hint });
}

function crashed(reason: string, batches: number, cause?: unknown): ModelError {
  const lost = batches > 0 ? ` with ${batches} batches in flight` : '';
  return new ModelError('worker_crashed', `An inference thread ended unexpectedly${lost}: ${reason}.`, {
    hint: 'Run the same command again; if memory is short, lower EMBEDDING_THREADS or EMBEDDING_BATCH_SIZE.',
    ...(cause === undefined ? {} : { cause }),
  });
}

function poolClosed(): ModelError {
  return new ModelError('pool_closed', 'The model was closed while texts were waiting to be embedded.');
}
