import type { ModelReference, RemoteProviderName, RemoteSettings } from '../../config/types.ts';
import { ConfigError } from '../../errors.ts';
import type { ProviderOptions } from '../provider-options.ts';
import type { EmbeddingProvider } from '../types.ts';
import { openScope } from './abort-scope.ts';
import { apiKey } from './api-key.ts';
import { openConnection } from './connection.ts';
import { geminiProtocol, geminiUrl } from './gemini.ts';
import { huggingfaceProtocol, huggingfaceUrl } from './huggingface.ts';
import { memoryLedger } from './memory-ledger.ts';
import { openaiProtocol, openaiUrl } from './openai.ts';
import type { Protocol } from './protocol.ts';
import { remoteProvider } from './remote-provider.ts';
import { createSender, type Sender } from './sender.ts';
import { readInfo, teiProtocol, teiUrl } from './tei.ts';

type RemoteReference = ModelReference & {
  readonly provider: RemoteProviderName;
  readonly revision?: string | undefined;
};

/**
 * Opens a provider that is asked over the network. Only `tei` is asked at once, for its limits and its model; with the others the first
 * request is the first one for vectors.
 *
 * @throws ConfigError when the URL or the key cannot be used, ProviderError when a TEI server does not answer or serves another model
 */
export async function openRemote(reference: RemoteReference, options: ProviderOptions): Promise<EmbeddingProvider> {
  const { provider, model } = reference;
  const settings = options.remote;
  if (settings === undefined) throw settingsMissing(provider);
  const url = urlOf(reference, settings);
  const key = apiKey(provider, url, settings);
  const connection = openConnection({ provider, model, key, keyHeader: HEADERS[provider], settings });
  const sender = createSender(connection, settings, {
    attempts: options.maxRetries ?? 3,
    ledger: options.ledger ?? memoryLedger(settings),
    ...(options.waitsForService === true ? { onOutage: options.onNotice ?? (() => undefined) } : {}),
  });
  return remoteProvider(await protocolOf(reference, url, settings, sender), sender, options.batchSize);
}

const bearer = (key: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${key}` });
/** Which header carries the key; it is never part of a URL, which proxies write down. */
const HEADERS: Readonly<Record<RemoteProviderName, typeof bearer>> = {
  openai: bearer,
  huggingface: bearer,
  tei: bearer,
  gemini: (key) => ({ 'x-goog-api-key': key }),
};

function urlOf(reference: RemoteReference, settings: RemoteSettings): URL {
  switch (reference.provider) {
    case 'openai':
      return openaiUrl(settings);
    case 'huggingface':
      return huggingfaceUrl(reference, settings);
    case 'tei':
      return teiUrl(settings, '/embed');
    case 'gemini':
      return geminiUrl(reference, settings);
  }
}

async function protocolOf(
  reference: RemoteReference,
  url: URL,
  settings: RemoteSettings,
  sender: Sender,
): Promise<Protocol> {
  switch (reference.provider) {
    case 'openai':
      return openaiProtocol(reference, url, settings);
    case 'huggingface':
      return huggingfaceProtocol(reference, url, settings);
    case 'gemini':
      return geminiProtocol(reference, url, settings);
    case 'tei': {
      const infoUrl = teiUrl(settings, '/info');
      const answer = await sender.send(() => ({ url: infoUrl, texts: 0 }), { signal: openScope().signal });
      return teiProtocol(reference, url, readInfo(answer, infoUrl, reference), settings);
    }
  }
}

function settingsMissing(provider: string): ConfigError {
  return new ConfigError(
    'remote_settings_missing',
    `The provider ${provider} was opened without settings for the network.`,
    {
      step: 'configuration',
      hint: 'Use EmbeddingsService.initFromEnv(), which reads them from the environment.',
    },
  );
}
