import { setMaxListeners } from 'node:events';
import { InterruptedError, ProviderError } from '../../errors.ts';
import type { EmbeddingProvider, EmbedOptions, EmbedResult, ProviderHealth } from '../types.ts';
import { openScope } from './abort-scope.ts';
import { askTexts, blame, type Part, type Service } from './ask-texts.ts';
import { packRequests } from './pack-requests.ts';
import type { Protocol } from './protocol.ts';
import type { Sender } from './sender.ts';

const NOTHING: Part = { vectors: [], tokens: 0, truncated: 0 };

/** A provider that asks a service over the network. All its errors are final: what could pass was tried again already. */
export function remoteProvider(protocol: Protocol, sender: Sender, batchSize: number | undefined): EmbeddingProvider {
  const items = Math.min(protocol.limits.items, batchSize ?? Number.POSITIVE_INFINITY);
  const service: Service = { protocol, sender, limits: { ...protocol.limits, items }, hasAnswered: false };
  const closing = openScope();
  setMaxListeners(0, closing.signal);
  const atWork = new Set<Promise<unknown>>();

  async function embed(texts: readonly string[], options: EmbedOptions): Promise<EmbedResult> {
    const work = embedAll(service, texts, options, closing.signal);
    const settled = work.catch(() => undefined);
    atWork.add(settled);
    try {
      return await work;
    } finally {
      atWork.delete(settled);
    }
  }

  return {
    model: protocol.model,
    maxTokens: protocol.maxTokens,
    embed,
    probe: () => probe(protocol, () => embed(['ok'], { kind: 'document' })),
    async close() {
      closing.abort(closed(protocol.model.name));
      await Promise.all(atWork);
    },
  };
}

/** As many requests as the texts need; the concurrency decides how many of them are sent at a time. */
async function embedAll(
  service: Service,
  texts: readonly string[],
  options: EmbedOptions,
  closing: AbortSignal,
): Promise<EmbedResult> {
  const scope = openScope(options.signal, closing);
  const { signal } = scope;
  // Every waiting request listens.
  setMaxListeners(0, signal);
  const items = Math.min(service.limits.items, options.batchSize ?? Number.POSITIVE_INFINITY);
  const requests = packRequests(texts, { ...service.limits, items });
  let failure: { readonly error: unknown } | undefined;
  let next = 0;
  const asking = requests.map(async (request): Promise<Part> => {
    const question = { texts: request, kind: options.kind, signal, from: next, onAnswer: options.onAnswer };
    next += request.length;
    try {
      return await askTexts(service, question);
    } catch (error) {
      // The first failure is the one to tell, unless the work could go on after it and cannot after this one.
      if (failure !== undefined && (signal.aborted || othersMayCome(error, options))) return NOTHING;
      const own = { error };
      failure = own;
      const blamed = await blame(service, error, question);
      if (failure === own) failure = { error: blamed };
      if (!othersMayCome(blamed, options)) scope.abort(blamed);
      return NOTHING;
    }
  });
  const parts = await Promise.all(asking).finally(() => scope.end());
  if (failure !== undefined) throw failure.error;
  return {
    vectors: parts.flatMap((part) => part.vectors),
    tokens: parts.reduce((sum, part) => sum + part.tokens, 0),
    truncated: parts.reduce((sum, part) => sum + part.truncated, 0),
  };
}

/** Whether the other requests go on: what was sent before a budget was reached is paid for, and so is what is kept while one bad text is looked for. */
function othersMayCome(error: unknown, { onAnswer }: EmbedOptions): boolean {
  if (error instanceof InterruptedError) return true;
  return onAnswer !== undefined && error instanceof ProviderError && error.scope === 'text';
}

async function probe({ model, url }: Protocol, run: () => Promise<unknown>): Promise<ProviderHealth> {
  const start = performance.now();
  const health = { device: url.host, dimensions: model.dimensions };
  try {
    await run();
    const message = `${model.dimensions} dimensions from ${url.host}`;
    return { ...health, ok: true, milliseconds: performance.now() - start, message };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    return { ...health, ok: false, milliseconds: performance.now() - start, message: error.message };
  }
}

function closed(name: string): ProviderError {
  return new ProviderError('provider_closed', `The provider of ${name} was closed.`, {
    retryable: false,
    scope: 'service',
    hint: 'Open it again for more texts.',
  });
}
