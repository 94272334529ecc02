import { AdapterError, messageOf } from '../errors.ts';
import { readMachine } from '../models/machine.ts';
import { createNativeSection, drainNative, stopNative } from '../models/native-section.ts';
import { startThread } from '../models/start-worker.ts';
import type { KindOutcomes } from './fit-kinds.ts';
import { errorOf, type FitReply, type FitTask, isFailure } from './fit-messages.ts';
import type { FitOptions, Fitted, Pairs } from './fit-types.ts';
import type { Matrix, ProjectionKind } from './types.ts';

/**
 * Learns a map from the source's space to the target's, in a thread of its own.
 *
 * @throws AdapterError `too_few_samples`, `degenerate_samples`, `rank_deficient`, `not_finite`, `dimensions_differ`, `mixed_models`,
 * `training_failed`; ModelError `onnxruntime_missing`; the signal's reason when it aborts
 */
export async function fitProjection(kind: ProjectionKind, pairs: Pairs, options: FitOptions): Promise<Fitted> {
  const outcome = (await fitAll([kind], pairs, options)).get(kind);
  if (outcome === undefined || outcome instanceof AdapterError)
    throw outcome ?? ended('it did not say what became of it');
  return outcome;
}

/**
 * Learns maps of several kinds from the same pairs, in one thread that makes only once what they share. A kind that these pairs do not
 * suit has its refusal in place of a map.
 *
 * @throws as fitProjection, where no kind can be learned from the pairs
 */
export async function fitAll(
  kinds: readonly ProjectionKind[],
  pairs: Pairs,
  { signal, ...settings }: FitOptions,
): Promise<KindOutcomes> {
  signal?.throwIfAborted();
  const copies = copiesOf(pairs);
  const validation = settings.validation === undefined ? undefined : copiesOf(settings.validation);
  const threads = settings.threads ?? readMachine().cores;
  const section = createNativeSection();
  const task: FitTask = { kinds, pairs: copies, settings: { ...settings, validation, threads }, section };
  const reply = await runThread(task, signal);
  if (reply.kind === 'failed') throw errorOf(reply.failure);
  return new Map(reply.outcomes.map(([kind, each]) => [kind, isFailure(each) ? errorOf(each) : each]));
}

/** On abort the caller goes on at once; the thread ends with the product that it is at, never by terminate(): see native-section.ts. */
async function runThread(task: FitTask, signal: AbortSignal | undefined): Promise<FitReply> {
  const { pairs, settings, section } = task;
  const worker = startThread('adapters/fit-worker', {
    workerData: task,
    name: 'reembed training',
    transferList: [pairs, settings.validation].flatMap((each) => (each === undefined ? [] : buffersOf(each))),
  });
  const drain = (): void => drainNative([section]);
  process.once('exit', drain);
  worker.once('exit', () => process.off('exit', drain));
  let abort = (): void => {};
  try {
    return await new Promise<FitReply>((resolve, reject) => {
      abort = () => reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      worker.once('message', resolve);
      worker.once('error', (cause) => reject(ended(messageOf(cause), cause)));
      worker.once('exit', (code) => reject(ended(`exit code ${code}`)));
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    stopNative(section);
  }
}

/** The thread takes them over: the caller keeps their own. */
function copiesOf({ source, target }: Pairs): Pairs {
  const copy = (matrix: Matrix): Matrix => ({ ...matrix, data: matrix.data.slice() });
  return { source: copy(source), target: copy(target) };
}

function buffersOf({ source, target }: Pairs): ArrayBuffer[] {
  return [source.data.buffer as ArrayBuffer, target.data.buffer as ArrayBuffer];
}

function ended(reason: string, cause?: unknown): AdapterError {
  return new AdapterError('training_failed', `The training thread ended unexpectedly: ${reason}.`, {
    step: 'adapter',
    hint: 'Run the same command again; if memory is short, train with fewer samples.',
    ...(cause === undefined ? {} : { cause }),
  });
}
