import type { Worker } from 'node:worker_threads';
import { ModelError, messageOf } from '../errors.ts';
import { createNativeSection, drainNative, type NativeSection } from './native-section.ts';
import { startWorker } from './start-worker.ts';
import type {
  SessionFacts,
  TimedBatch,
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
  readonly resolve: (encoded: TimedBatch) => void;
  readonly reject: (error: unknown) => void;
}

interface Member {
  readonly worker: Worker;
  readonly section: NativeSection;
  readonly jobs: Map<number, Job>;
  readonly ended: Promise<void>;
  readonly opened: (facts: SessionFacts) => void;
  /** Its session is open: only then is it given batches. */
  ready: boolean;
  failure: ModelError | undefined;
}

export interface PoolOptions {
  /** Threads at most, decided when the first session is open. */
  readonly threads: (facts: SessionFacts) => number;
  /** Told when a further thread could not be opened and the others go on without it. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/**
 * Inference threads, each with a session of its own. Further threads start when work waits for them, so that a single
 * query loads one model and a backfill one a core. An idle pool does not keep the process alive.
 */
export class InferencePool {
  readonly #setup: WorkerSetup;
  readonly #members = new Set<Member>();
  readonly #onNotice: PoolOptions['onNotice'];
  /** Those who wait for all threads to be open. */
  readonly #waiting = new Set<() => void>();
  #threads = 1;
  #queue: Job[] = [];
  #nextId = 0;
  #closed = false;

  readonly #drain = (): void => drainNative([...this.#members].map(({ section }) => section));

  private constructor(setup: WorkerSetup, onNotice: PoolOptions['onNotice']) {
    this.#setup = setup;
    this.#onNotice = onNotice;
    process.once('exit', this.#drain);
  }

  /**
   * Opens the first session, which tells the device and the dimensions.
   * @throws ModelError when the session cannot be opened.
   */
  static async open(
    setup: WorkerSetup,
    { threads, onNotice }: PoolOptions,
  ): Promise<{ readonly pool: InferencePool; readonly facts: SessionFacts }> {
    const pool = new InferencePool(setup, onNotice);
    const facts = await new Promise<SessionFacts>((resolve, reject) => {
      const first = pool.#start(resolve);
      void first.ended.then(() => reject(first.failure));
    }).catch((error: unknown) => {
      process.off('exit', pool.#drain);
      throw error;
    });
    try {
      pool.#threads = threads(facts);
    } catch (error) {
      await pool.close();
      throw error;
    }
    return { pool, facts };
  }

  /** Threads at most; fewer than asked for once one could not be opened. */
  get threads(): number {
    return this.#threads;
  }

  /** Opens the threads that are still missing; resolves when all are open, or given up. */
  async openAll(): Promise<void> {
    while (!this.#closed && this.#members.size < this.#threads) this.#start();
    while (!this.#closed && [...this.#members].some(({ ready }) => !ready)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /**
   * Encodes one batch; batches start in the order in which they come. The batch's buffers are handed over, not copied.
   * @throws ModelError when inference fails or the thread dies; the signal's reason when it aborts while the batch waits.
   */
  run(batch: TokenBatch, signal?: AbortSignal): Promise<TimedBatch> {
    if (this.#closed) return Promise.reject(poolClosed());
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise<TimedBatch>((resolve, reject) => {
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

  /** Gives what waits to the freest threads; starts others where batches wait behind batches. */
  #dispatch(): void {
    for (let member = this.#freest(); member !== undefined; member = this.#freest()) {
      const job = this.#queue.shift();
      if (job === undefined) break;
      member.jobs.set(job.id, job);
      member.worker.ref();
      const { ids, lengths, types } = job.batch;
      const request: WorkerRequest = { kind: 'encode', id: job.id, batch: job.batch };
      const handedOver = types === undefined ? [ids, lengths] : [ids, lengths, types];
      member.worker.postMessage(
        request,
        handedOver.map(({ buffer }) => buffer as ArrayBuffer),
      );
    }
    const members = [...this.#members];
    const waiting = this.#queue.length + members.filter(({ jobs }) => jobs.size > 1).length;
    const opening = members.filter(({ ready }) => !ready).length;
    const missing = Math.min(waiting - opening, this.#threads - members.length);
    for (let count = 0; count < missing; count++) this.#start();
  }

  #freest(): Member | undefined {
    let freest: Member | undefined;
    for (const member of this.#members) {
      if (!member.ready || member.jobs.size >= IN_FLIGHT) continue;
      if (freest === undefined || member.jobs.size < freest.jobs.size) freest = member;
    }
    return freest;
  }

  #start(opened: Member['opened'] = () => {}): Member {
    const section = createNativeSection();
    const worker = startWorker({ ...this.#setup, section });
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const member: Member = { worker, section, jobs: new Map(), ended, opened, ready: false, failure: undefined };
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
      member.ready = true;
      this.#rest(member);
      member.opened(reply.facts);
      this.#wake();
      this.#dispatch();
      return;
    }
    if (reply.kind === 'failed') {
      member.failure = errorOf(reply.failure);
      return;
    }
    const job = member.jobs.get(reply.id);
    member.jobs.delete(reply.id);
    this.#rest(member);
    if (reply.kind === 'encoded') job?.resolve(reply.encoded);
    else job?.reject(errorOf(reply.failure));
    this.#dispatch();
  }

  /** An idle thread does not keep the process alive, save for one whose end `close` waits for. */
  #rest(member: Member): void {
    if (member.jobs.size === 0 && !this.#closed) member.worker.unref();
  }

  /** A thread is gone: its batches fail, and what waits starts another, unless it never came to work. */
  #lose(member: Member, code: number): void {
    this.#members.delete(member);
    member.failure ??= crashed(`exit code ${code}`, member.jobs.size);
    for (const job of member.jobs.values()) job.reject(this.#closed ? poolClosed() : member.failure);
    if (!this.#closed && !member.ready) this.#shrink(member.failure);
    this.#wake();
    if (!this.#closed) this.#dispatch();
  }

  /** A further session could not be opened, mostly for want of memory: the others do the work. */
  #shrink(failure: ModelError): void {
    const open = [...this.#members].filter(({ ready }) => ready).length;
    if (open > 0) {
      this.#threads = open;
      this.#onNotice?.(`A further inference thread could not be opened; ${open} do the work. ${failure.message}`);
    } else for (const job of this.#queue.splice(0)) job.reject(failure);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
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
