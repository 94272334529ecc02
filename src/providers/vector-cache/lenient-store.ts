import { messageOf } from '../../errors.ts';
import type { Canary, ModelFingerprint } from '../types.ts';
import type { KeptVector, NewVector } from './record.ts';
import { cacheDirectory } from './reference-file.ts';
import { VectorStore } from './vector-store.ts';

export interface VectorCacheOptions {
  readonly cacheDir: string;
  /** Told once that nothing can be kept, and why. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** A store that is opened when it is first asked. What the file system refuses is told once; the work goes on without. */
export interface LenientStore {
  read(keys: readonly Buffer[]): Promise<readonly (KeptVector | undefined)[]>;
  append(vectors: readonly NewVector[]): Promise<void>;
  agree(canary: Canary): Promise<void>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

export function lenientStore(fingerprint: ModelFingerprint, { cacheDir, onWarning }: VectorCacheOptions): LenientStore {
  const directory = cacheDirectory(cacheDir, fingerprint);
  let opening: Promise<VectorStore | undefined> | undefined;
  let failed = false;

  function fail(error: unknown): undefined {
    const message = `${directory} cannot be written (${messageOf(error)}): vectors of ${fingerprint.name} are not kept, and are asked for again when they are needed again.`;
    if (!failed) onWarning?.(message);
    failed = true;
  }

  const opened = (): Promise<VectorStore | undefined> => {
    opening ??= VectorStore.open(directory, fingerprint).catch(fail);
    return opening;
  };
  /** A segment that could not be written whole is not written to again. */
  const tried = async (work: (store: VectorStore) => Promise<void>): Promise<void> => {
    const store = await opened();
    if (store !== undefined && !failed) await work(store).catch(fail);
  };
  return {
    read: async (keys) => (await (await opened())?.read(keys)) ?? [],
    append: (vectors) => tried((store) => store.append(vectors)),
    agree: (canary) => tried((store) => store.agree(canary)),
    clear: () => tried((store) => store.clear()),
    close: async () => (await opening)?.close(),
  };
}
