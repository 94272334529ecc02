import type { ModelReference } from '../../config/types.ts';
import type { EmbedOptions } from '../types.ts';
import { textKey } from './record.ts';
import { findCacheDirectory } from './reference-file.ts';
import { VectorStore } from './vector-store.ts';

/** Tells of a text whether its vector is kept, so that embedding it again costs nothing. */
export type IsCached = (text: string) => boolean;

/**
 * Looks up texts among the vectors that are kept on this machine, without asking the service and without a key.
 *
 * @param reference the model as the configuration names it
 * @returns undefined where nothing is kept of it
 */
export async function openCached(
  cacheDir: string,
  reference: ModelReference & { readonly revision?: string | undefined },
  kind: EmbedOptions['kind'] = 'document',
): Promise<IsCached | undefined> {
  const found = await findCacheDirectory(cacheDir, reference);
  if (found === undefined) return undefined;
  const store = await VectorStore.peek(found.directory, found.fingerprint);
  return store.size === 0 ? undefined : (text) => store.has(textKey(kind, text));
}

/** How many of the texts are kept; equal ones count each time. */
export async function countCached(
  cacheDir: string,
  reference: ModelReference & { readonly revision?: string | undefined },
  texts: Iterable<string>,
): Promise<number> {
  const isCached = await openCached(cacheDir, reference);
  if (isCached === undefined) return 0;
  let count = 0;
  for (const text of texts) if (isCached(text)) count += 1;
  return count;
}
