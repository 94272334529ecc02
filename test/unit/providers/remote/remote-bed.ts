import { expect, onTestFinished } from 'vitest';
import { loadRuntimeSettings } from '../../../../src/config/runtime.ts';
import type { RemoteProviderName } from '../../../../src/config/types.ts';
import type { ReembedError } from '../../../../src/errors.ts';
import { createProvider } from '../../../../src/providers/create-provider.ts';
import type { ProviderOptions } from '../../../../src/providers/provider-options.ts';
import type { EmbeddingProvider } from '../../../../src/providers/types.ts';
import {
  type ScriptedServer,
  type ScriptedServerOptions,
  startScriptedServer,
} from '../../../helpers/scripted-server.ts';

export const KEY = 'sk-scripted-0123456789';
export const TEXTS = ['the first text', 'a second one', 'and the third', 'one more'];

/** A model of each service's kind, one that reembed knows nothing of. */
const MODELS = { openai: 'own-model', tei: 'BAAI/bge-small-en-v1.5', huggingface: 'own/model', gemini: 'own-model' };

export interface OpenOptions extends ProviderOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly model?: string;
  readonly dimensions?: number;
  readonly revision?: string;
}

/** A scripted server that is closed when the test is over. */
export async function scripted(options: ScriptedServerOptions = {}): Promise<ScriptedServer> {
  const server = await startScriptedServer(options);
  onTestFinished(() => server.close());
  return server;
}

/** The provider as the environment makes it, asking `server`; pauses between attempts are some hundredths of a second. */
export async function openAt(
  server: Pick<ScriptedServer, 'urls'>,
  provider: RemoteProviderName,
  { env = {}, model = MODELS[provider], dimensions = 8, revision, ...options }: OpenOptions = {},
): Promise<EmbeddingProvider> {
  const { remote } = loadRuntimeSettings({
    EMBEDDING_BASE_URL: server.urls[provider],
    EMBEDDING_API_KEY: KEY,
    EMBEDDING_REQUEST_TIMEOUT: '5s',
    EMBEDDING_DEADLINE: '20s',
    ...env,
  });
  const opened = await createProvider({ provider, model, dimensions, revision }, { remote, ...options });
  onTestFinished(() => opened.close());
  return opened;
}

/** What an error tells, its whole text included, to look for a key in it. */
export async function failureOf(work: Promise<unknown>): Promise<ReembedError> {
  return work.then(
    () => expect.fail('it did not fail'),
    (error: ReembedError) => error,
  );
}

export const status = (code: number, body?: unknown, headers?: Readonly<Record<string, string>>) =>
  ({
    kind: 'status',
    status: code,
    ...(body === undefined ? {} : { body }),
    ...(headers === undefined ? {} : { headers }),
  }) as const;

/** Busy, for a few milliseconds. */
export const busy = status(429, { error: { message: 'Rate limit reached.' } }, { 'retry-after-ms': '3' });
