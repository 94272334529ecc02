import { parentPort, workerData } from 'node:worker_threads';
import { AdapterError, messageOf, ReembedError } from '../errors.ts';
import { fitKinds } from './fit-kinds.ts';
import { type FitReply, type FitTask, failureOf } from './fit-messages.ts';
import { openAlgebra } from './linear-algebra.ts';

/** A training thread: one task, then it ends. */
async function work({ kinds, pairs, settings, section }: FitTask): Promise<FitReply> {
  const algebra = openAlgebra(settings.threads, section);
  try {
    const outcomes = await fitKinds(algebra, kinds, pairs, settings);
    const told = Array.from(outcomes, ([kind, outcome]) => {
      return [kind, outcome instanceof AdapterError ? failureOf(outcome) : outcome] as const;
    });
    await algebra.close();
    return { kind: 'fitted', outcomes: told };
  } catch (error) {
    const known = error instanceof ReembedError ? error : unexpected(error);
    return { kind: 'failed', failure: failureOf(known) };
  }
}

function unexpected(error: unknown): AdapterError {
  return new AdapterError('training_failed', `Training failed: ${messageOf(error).trim()}.`, {
    step: 'adapter',
    hint: 'Run the same command again; if memory is short, train with fewer samples.',
  });
}

if (parentPort !== null) parentPort.postMessage(await work(workerData as FitTask));
