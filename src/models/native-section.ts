/**
 * Node ends its threads at process.exit; one that is inside ONNX Runtime at that moment aborts the whole process
 * (SIGABRT, exit code 134). So each thread says when it is inside, and the exit waits for it to come out.
 */
export type NativeSection = Int32Array<SharedArrayBuffer>;

const BUSY = 0;
const STOP = 1;
/** A batch takes milliseconds; one that takes longer than this is not waited for. */
const PATIENCE_MS = 10_000;

/** Memory that a thread and its owner share. */
export function createNativeSection(): NativeSection {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** In the thread: runs `work` unless the process is about to exit. */
export async function insideNative<T>(section: NativeSection, work: () => Promise<T>): Promise<T> {
  Atomics.store(section, BUSY, 1);
  try {
    if (Atomics.load(section, STOP) === 1) throw new Error('the process is ending');
    return await work();
  } finally {
    Atomics.store(section, BUSY, 0);
    Atomics.notify(section, BUSY);
  }
}

/** In the owner, at exit: lets no thread in any more and waits for those inside. */
export function drainNative(sections: readonly NativeSection[]): void {
  for (const section of sections) Atomics.store(section, STOP, 1);
  const deadline = Date.now() + PATIENCE_MS;
  for (const section of sections) Atomics.wait(section, BUSY, 1, Math.max(0, deadline - Date.now()));
}

/** In the owner: lets the thread in no more; what it is at it ends first. Does not wait. */
export function stopNative(section: NativeSection): void {
  Atomics.store(section, STOP, 1);
}
