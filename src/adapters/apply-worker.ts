import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, ReembedError } from '../errors.ts';
import { openGraph, type RunnableGraph } from '../models/graph.ts';
import { insideNative } from '../models/native-section.ts';
import type { ApplyFailure, ApplyReply, ApplyRequest, ApplySetup } from './apply-messages.ts';
import { inputFaults } from './input-faults.ts';
import { projectionGraph } from './projection-graph.ts';
import { runProjection } from './run-projection.ts';

/** A mapping thread: one graph, one batch after the other. */
function serve(port: NonNullable<typeof parentPort>, setup: ApplySetup): void {
  const { projection, threads, section } = setup;
  const opening = insideNative(section, () => openGraph(projectionGraph(projection), { threads }));
  // Told to each batch that asks for it.
  opening.catch(() => undefined);
  let turn = Promise.resolve();
  port.on('message', (request: ApplyRequest) => {
    turn = turn.then(() =>
      request.kind === 'close' ? close(port, setup, opening) : answer(port, setup, opening, request),
    );
  });
}

async function answer(
  port: NonNullable<typeof parentPort>,
  { projection, range, section }: ApplySetup,
  opening: Promise<RunnableGraph>,
  { id, rows, data }: Extract<ApplyRequest, { kind: 'apply' }>,
): Promise<void> {
  try {
    const graph = await opening;
    const input = { rows, columns: projection.layers[0]?.input ?? 0, data };
    const faults = inputFaults(input, range);
    const output = await insideNative(section, () => runProjection(graph, input));
    const reply: ApplyReply = { kind: 'applied', id, data: output.data, faults, given: data };
    const owned = [output.data.buffer, data.buffer].filter((buffer) => buffer instanceof ArrayBuffer);
    port.postMessage(reply, owned);
  } catch (error) {
    port.postMessage({ kind: 'rejected', id, failure: failureOf(error) } satisfies ApplyReply);
  }
}

async function close(
  port: NonNullable<typeof parentPort>,
  { section }: ApplySetup,
  opening: Promise<RunnableGraph>,
): Promise<void> {
  const graph = await opening.catch(() => undefined);
  if (graph !== undefined) await insideNative(section, () => graph.release());
  port.close();
}

function failureOf(error: unknown): ApplyFailure {
  return error instanceof ReembedError
    ? { code: error.code, message: error.message, hint: error.hint }
    : { code: 'mapping_failed', message: `The mapping failed: ${messageOf(error).trim()}.`, hint: undefined };
}

if (parentPort !== null) serve(parentPort, workerData as ApplySetup);
