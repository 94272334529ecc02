/** Held by the one thread that is at work on a device which threads may not use at the same time. */
export type DeviceTurn = Int32Array<SharedArrayBuffer>;

const FREE = 0;
const TAKEN = 1;

/**
 * One turn for all WebGPU sessions of the process: ONNX Runtime gives them one device and one queue, and two threads at it
 * fail each other's commands ("Concurrent buffer operations are not allowed", "Command encoding already finished").
 */
export const webgpuTurn: DeviceTurn = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the thread until it has the turn, then does `work`. Must not be nested. */
export async function inTurn<T>(turn: DeviceTurn, work: () => Promise<T>): Promise<T> {
  while (Atomics.compareExchange(turn, 0, FREE, TAKEN) !== FREE) Atomics.wait(turn, 0, TAKEN);
  try {
    return await work();
  } finally {
    Atomics.store(turn, 0, FREE);
    Atomics.notify(turn, 0, 1);
  }
}
