import { parentPort, workerData } from 'node:worker_threads';
import { ModelError, messageOf } from '../errors.ts';
import { encodeBatch, inspectSession } from './encode-batch.ts';
import { insideNative } from './native-section.ts';
import { type InferenceSession, openSession } from './session.ts';
import type { ThreadSetup, WorkerFailure, WorkerReply, WorkerRequest } from './worker-messages.ts';

/** An inference thread: its own session, one batch after the other. */
async function serve(port: NonNullable<typeof parentPort>, setup: ThreadSetup): Promise<void> {
  let session: InferenceSession;
  try {
    session = await insideNative(setup.section, () => openSession(setup.session));
    const facts = await insideNative(setup.section, () => inspectSession(session, setup.sample));
    port.postMessage({ kind: 'ready', facts } satisfies WorkerReply);
  } catch (error) {
    port.postMessage({ kind: 'failed', failure: failureOf(error) } satisfies WorkerReply);
    return;
  }
  let turn = Promise.resolve();
  const clock = busyClock();
  port.on('message', (request: WorkerRequest) => {
    turn = turn.then(() => answer(port, session, setup, clock, request));
  });
}

/** Times batches such that the times of all add up to that in which the thread was at work. */
function busyClock() {
  let counted = 0;
  return {
    async time<T>(work: () => Promise<T>): Promise<T & { readonly milliseconds: number }> {
      const started = performance.now();
      const result = await work();
      const ended = performance.now();
      const milliseconds = ended - Math.max(started, counted);
      counted = ended;
      return { ...result, milliseconds };
    },
  };
}

async function answer(
  port: NonNullable<typeof parentPort>,
  session: InferenceSession,
  setup: ThreadSetup,
  clock: ReturnType<typeof busyClock>,
  request: WorkerRequest,
): Promise<void> {
  if (request.kind === 'close') {
    await insideNative(setup.section, () => session.release());
    port.close();
    return;
  }
  try {
    const encoded = await clock.time(() =>
      insideNative(setup.section, () => encodeBatch(session, setup, request.batch)),
    );
    const reply: WorkerReply = { kind: 'encoded', id: request.id, encoded };
    port.postMessage(reply, [encoded.vectors.buffer as ArrayBuffer]);
  } catch (error) {
    port.postMessage({ kind: 'rejected', id: request.id, failure: failureOf(error) } satisfies WorkerReply);
  }
}

function failureOf(error: unknown): WorkerFailure {
  return error instanceof ModelError
    ? { code: error.code, message: error.message, hint: error.hint }
    : { code: 'inference_failed', message: `Inference failed: ${messageOf(error).trim()}.`, hint: undefined };
}

if (parentPort !== null) await serve(parentPort, workerData as ThreadSetup);
