import { setMaxListeners } from 'node:events';
import type { RemoteSettings } from '../../config/types.ts';
import { ConfigError, ProviderError } from '../../errors.ts';
import type { Reranker, RerankOptions } from '../reranker.ts';
import type { RerankerSettings } from '../reranker-settings.ts';
import { openScope } from './abort-scope.ts';
import { apiKey } from './api-key.ts';
import { openConnection } from './connection.ts';
import { shownUrl } from './endpoint.ts';
import { memoryLedger } from './memory-ledger.ts';
import { packRequests, type RequestLimits } from './pack-requests.ts';
import { readScores } from './read-scores.ts';
import { RequestFailure } from './request-failure.ts';
import { createSender, type Sender } from './sender.ts';
import { infoRefused, PAYLOAD_BYTES, readServer, type ServerInfo, teiUrl } from './tei.ts';

interface Service {
  readonly url: URL;
  readonly sender: Sender;
  readonly limits: RequestLimits;
}

/**
 * A reranker behind Hugging Face's Text Embeddings Inference, `POST /rerank`. Its scores are the model's logits (`raw_scores`), as those of a
 * model that runs here; pairs that are too long are cut there. All errors are final: what could pass was tried again already.
 * @throws ConfigError when the URL or the key cannot be used, ProviderError when the server does not answer or serves no reranker
 */
export async function openTeiReranker(settings: RerankerSettings & { readonly batchSize: number }): Promise<Reranker> {
  return openServer(settings).catch(throwForReranker);
}

async function openServer(settings: RerankerSettings & { readonly batchSize: number }): Promise<Reranker> {
  const remote = remoteSettings(settings);
  const url = teiUrl(remote, '/rerank');
  const infoUrl = teiUrl(remote, '/info');
  const model = settings.model ?? 'the reranker';
  const connection = openConnection({
    provider: 'tei',
    model,
    key: apiKey('tei', url, remote),
    keyHeader: (key) => ({ authorization: `Bearer ${key}` }),
    settings: remote,
  });
  const sender = createSender(connection, remote, {
    attempts: settings.maxRetries ?? 3,
    ledger: memoryLedger(remote),
  });
  const answer = await sender.send(() => ({ url: infoUrl, texts: 0 }), { signal: openScope().signal });
  const server = readServer(answer, infoUrl);
  assertReranker(server, infoUrl);
  settings.onNotice?.(`${server.modelId} reranks at ${shownUrl(url)}`);
  return serviceReranker({ url, sender, limits: limitsOf(server, settings.batchSize) }, server);
}

function remoteSettings({ remote, baseUrl }: RerankerSettings): RemoteSettings {
  // `EMBEDDING_API_KEY` is for the service that embeds; nobody said that this server may have it.
  if (remote !== undefined) return { ...remote, baseUrl, keys: { ...remote.keys, any: undefined } };
  throw new ConfigError('remote_settings_missing', 'The reranker tei was opened without settings for the network.', {
    step: 'configuration',
    hint: 'Pass "remote: loadRuntimeSettings().remote", or use EmbeddingsService.initFromEnv(), which reads them from the environment.',
  });
}

function assertReranker({ modelId, type }: ServerInfo, url: URL): void {
  if (type === undefined || 'reranker' in type || 'Reranker' in type) return;
  throw infoRefused('model_differs', `${shownUrl(url)} serves ${modelId}, which is no reranker.`);
}

function limitsOf({ maxItems, maxBatchTokens, maxTokens }: ServerInfo, batchSize: number): RequestLimits {
  return {
    items: Math.min(maxItems, batchSize),
    tokens: maxBatchTokens,
    bytes: PAYLOAD_BYTES,
    tokensPerText: maxTokens ?? Number.POSITIVE_INFINITY,
    refusesLong: false,
  };
}

function serviceReranker(service: Service, { modelId, dtype }: ServerInfo): Reranker {
  const closing = openScope();
  setMaxListeners(0, closing.signal);
  return {
    model: { provider: 'tei', name: modelId, dtype, files: {} },
    async score(query, texts, options = {}) {
      const scores = await scoreAll(service, query, texts, options, closing.signal).catch(throwForReranker);
      return Float32Array.from(scores);
    },
    close: async () => closing.abort(closed(modelId)),
  };
}

/** As many requests as the texts need; the concurrency decides how many of them are sent at a time. */
async function scoreAll(
  service: Service,
  query: string,
  texts: readonly string[],
  { batchSize = Number.POSITIVE_INFINITY, signal }: RerankOptions,
  closing: AbortSignal,
): Promise<readonly number[]> {
  const scope = openScope(signal, closing);
  setMaxListeners(0, scope.signal);
  const limits = { ...service.limits, items: Math.min(service.limits.items, batchSize) };
  // The server reads the query once more for every text.
  const requests = packRequests(
    texts.map((text) => query + text),
    limits,
  );
  let next = 0;
  try {
    const asking = requests.map(({ length }) => {
      const from = next;
      next += length;
      return scoreSome(service, query, texts.slice(from, next), scope.signal);
    });
    return (await Promise.all(asking)).flat();
  } catch (error) {
    scope.abort(error);
    throw error;
  } finally {
    scope.end();
  }
}

/** Halves what the server finds too large, down to one text. */
async function scoreSome(
  service: Service,
  query: string,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<readonly number[]> {
  const body = { query, texts, raw_scores: true, truncate: true };
  const { url, sender } = service;
  try {
    const { json } = await sender.send(() => ({ url, body, texts: texts.length }), { signal });
    return readScores(json, texts.length, shownUrl(url));
  } catch (error) {
    if (!(error instanceof RequestFailure) || texts.length < 2) throw error;
  }
  const middle = Math.ceil(texts.length / 2);
  const first = await scoreSome(service, query, texts.slice(0, middle), signal);
  return [...first, ...(await scoreSome(service, query, texts.slice(middle), signal))];
}

/** What all services share tells the variables of the one that embeds; a reranker has some of its own. */
const OWN_VARIABLES = { EMBEDDING_BASE_URL: 'RERANK_BASE_URL', EMBEDDING_MODEL: 'RERANK_MODEL' };

function throwForReranker(error: unknown): never {
  if (!(error instanceof ConfigError) && !(error instanceof ProviderError)) throw error;
  const { code, step, context, cause, hint } = error;
  const details = {
    ...(step === undefined ? {} : { step }),
    ...(hint === undefined ? {} : { hint: inOwnVariables(hint) }),
    context,
    cause,
  };
  const message = inOwnVariables(error.message);
  if (error instanceof ConfigError) throw new ConfigError(code, message, details);
  throw new ProviderError(code, message, { ...details, retryable: error.retryable, scope: error.scope });
}

function inOwnVariables(text: string): string {
  return Object.entries(OWN_VARIABLES).reduce((told, [theirs, own]) => told.replaceAll(theirs, own), text);
}

function closed(name: string): ProviderError {
  return new ProviderError('provider_closed', `The reranker ${name} was closed.`, {
    retryable: false,
    scope: 'service',
    hint: 'Open it again for more texts.',
  });
}
