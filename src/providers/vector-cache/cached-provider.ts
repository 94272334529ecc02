import { orAborted } from '../remote/abort-scope.ts';
import type { EmbeddingProvider, EmbedOptions, EmbedResult } from '../types.ts';
import { type Asked, askAndKeep, type WantedText } from './ask-and-keep.ts';
import { lenientStore, type VectorCacheOptions } from './lenient-store.ts';
import { type KeptVector, textKey } from './record.ts';

/**
 * A provider that asks `provider` for each text once: what it answers is kept under `cacheDir`, queries and documents apart, and equal texts are
 * one. `tokens` are those that were really sent. `probe` asks. Takes over `provider` and closes it.
 */
export function cachedProvider(provider: EmbeddingProvider, options: VectorCacheOptions): EmbeddingProvider {
  const store = lenientStore(provider.model, options);
  /** Texts that are asked for at present, by whichever call. */
  const inFlight = new Map<string, Promise<unknown>>();

  async function readKept(wanted: readonly WantedText[], into: Map<string, KeptVector>): Promise<WantedText[]> {
    const kept = await store.read(wanted.map(({ key }) => key));
    return wanted.filter(({ id }, i) => {
      const vector = kept[i];
      if (vector !== undefined) into.set(id, vector);
      return vector === undefined;
    });
  }

  function ask(wanted: readonly WantedText[], embed: EmbedOptions): Promise<Asked> {
    if (wanted.length === 0) return Promise.resolve({ vectors: new Map(), tokens: 0 });
    const asking = askAndKeep(provider, wanted, embed, store.append);
    for (const { id } of wanted) inFlight.set(id, asking);
    return asking.finally(() => {
      for (const { id } of wanted) inFlight.delete(id);
    });
  }

  async function embed(texts: readonly string[], embedOptions: EmbedOptions): Promise<EmbedResult> {
    const wanted = texts.map((text) => wantedText(embedOptions.kind, text));
    const found = new Map<string, KeptVector>();
    let tokens = 0;
    let missing = await readKept([...new Map(wanted.map((text) => [text.id, text])).values()], found);
    while (missing.length > 0) {
      const others = missing.flatMap(({ id }) => inFlight.get(id) ?? []);
      const own = missing.filter(({ id }) => !inFlight.has(id));
      const asked = await ask(own, embedOptions);
      for (const [id, vector] of asked.vectors) found.set(id, vector);
      tokens += asked.tokens;
      // What another call failed on, or could not keep, is asked for by this one.
      await orAborted(Promise.allSettled(others), embedOptions.signal);
      missing = await readKept(
        missing.filter(({ id }) => !found.has(id)),
        found,
      );
      embedOptions.signal?.throwIfAborted();
    }
    return assemble(wanted, found, tokens);
  }

  return {
    model: provider.model,
    device: provider.device,
    maxTokens: provider.maxTokens,
    kept: { service: provider, agree: store.agree, forget: store.clear },
    embed,
    probe: () => provider.probe(),
    async close() {
      // First what still brings answers: one that came after the store was closed would open it again.
      await provider.close().finally(() => store.close());
    },
  };
}

function wantedText(kind: EmbedOptions['kind'], text: string): WantedText {
  const key = textKey(kind, text);
  return { id: key.toString('hex'), key, text };
}

function assemble(wanted: readonly WantedText[], found: ReadonlyMap<string, KeptVector>, tokens: number): EmbedResult {
  const kept = wanted.flatMap(({ id }) => found.get(id) ?? []);
  const tokenKeys = kept.flatMap(({ tokenKey }) => tokenKey ?? []);
  return {
    vectors: kept.map(({ vector }) => vector),
    tokens,
    truncated: kept.filter(({ truncated }) => truncated).length,
    ...(tokenKeys.length === kept.length && { tokenKeys }),
  };
}
