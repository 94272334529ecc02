import type { ModelReference } from '../config/types.ts';
import type { ProbeResult } from '../plan/inputs.ts';
import { createProvider } from '../providers/create-provider.ts';
import type { ProviderOptions } from '../providers/provider-options.ts';

export interface ProbeOptions extends ProviderOptions {
  /** Texts of one request to a service; undefined for a model on this machine. */
  readonly textsPerRequest: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Enough for all threads to have several batches each. */
const LOCAL_TEXTS = 256;
/** Brings the threads, or the connection, to work before anything is timed. */
const WARM_UP_TEXTS = 8;

/**
 * Embeds some of the texts as the backfill would, and takes the time. A service gets two requests, of which it is paid for the texts.
 * @throws ModelError, ProviderError or ConfigError when the model cannot be used
 */
export async function probeModel(
  reference: ModelReference & { readonly revision?: string | undefined },
  texts: readonly string[],
  { textsPerRequest, signal, ...options }: ProbeOptions,
): Promise<ProbeResult | undefined> {
  const [first] = texts;
  if (first === undefined) return undefined;
  const opened = await createProvider(reference, options);
  // What is kept would be counted as if the service were as fast.
  const provider = opened.kept?.service ?? opened;
  try {
    const remote = textsPerRequest !== undefined;
    await provider.embed(remote ? [first] : spread(texts, WARM_UP_TEXTS), { kind: 'document', signal });
    const chosen = spread(texts, textsPerRequest ?? LOCAL_TEXTS);
    const start = performance.now();
    const { tokens } = await provider.embed(chosen, { kind: 'document', signal });
    const seconds = (performance.now() - start) / 1000;
    const device = provider.device ?? provider.model.provider;
    return { texts: chosen.length, tokens, requests: remote ? 1 : undefined, seconds, device };
  } finally {
    await opened.close();
  }
}

/** So many, evenly over all: neighbours in a table are alike. */
function spread(texts: readonly string[], count: number): readonly string[] {
  if (texts.length <= count) return texts;
  return Array.from({ length: count }, (_, i) => texts[Math.floor((i * texts.length) / count)] ?? '');
}
