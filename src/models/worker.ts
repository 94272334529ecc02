import { parentPort, workerData } from 'node:worker_threads';
import { ModelError, messageOf } from '../errors.ts';
import { encodeBatch, inspectSession } from './encode-batch.ts';
import { type InferenceSession, openSession } from './session.ts';
import type { WorkerFailure, WorkerReply, WorkerRequest, WorkerSetup } from './worker-messages.ts';

/** An inference thread: its own session, one batch after the other. */
async function serve(port: NonNullable<typeof parentPort>, setup: WorkerSetup): Promise<void> {
  let session: InferenceSession;
  try {
    session = await openSession(setup.session);
    const facts = await inspectSession(session, setup.sample);
    port.postMessage({ kind: 'ready', facts } satisfies WorkerReply);
  } catch (error) {
    port.postMessage({ kind: 'failed', failure: failureOf(error) } satisfies WorkerReply);
    return;
  }
  let turn = Promise.resolve();
  port.on('message', (request: WorkerRequest) => {
    turn = turn.then(() => answer(port, session, setup, request));
  });
}

async function answer(
  port: NonNullable<typeof parentPort>,
  session: InferenceSession,
  setup: WorkerSetup,
  request: WorkerRequest,
): Promise<void> {
  if (request.kind === 'close') {
    await session.release();
    port.close();
    return;
  }
  try {
    const encoded = await encodeBatch(session, setup, request.batch);
    const reply: WorkerReply = { kind: 'encoded', id: request.id, encoded };
    port.postMessage(reply, [encoded.vectors.buffer as ArrayBuffer]);
  } catch (error) {
    port.postMessage({ kind: 'rejected', id: request.id, failure: failureOf(error) } satisfies WorkerReply);
  }
}

function failureOf(error: unknown): WorkerFailure {
  return error instanceof ModelError
    ? { code: error.code, message: error.message, hint: error.hint }
    : { code: 'inference_failed', message: `Inference failed: ${messageOf(error)}.`, hint: undefined };
}

if (parentPort !== null) await serve(parentPort, workerData as WorkerSetup);
