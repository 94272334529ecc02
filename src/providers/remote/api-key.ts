import type { Secret } from '../../config/secret.ts';
import type { RemoteProviderName, RemoteSettings } from '../../config/types.ts';
import { ConfigError } from '../../errors.ts';
import { shownUrl } from './endpoint.ts';

/** Hosts that answer nobody without a key. */
const NEED_KEYS: ReadonlySet<string> = new Set([
  'api.openai.com',
  'router.huggingface.co',
  'generativelanguage.googleapis.com',
]);
const VARIABLES: Readonly<Record<RemoteProviderName, string>> = {
  openai: 'OPENAI_API_KEY',
  huggingface: 'HUGGINGFACE_TOKEN',
  tei: 'HUGGINGFACE_TOKEN',
  gemini: 'GEMINI_API_KEY',
};
/** What a header may carry; the message of anything else that refuses it would repeat it. */
const HEADER_TEXT = /^[\x21-\x7e]+$/;

/**
 * The key for requests to `url`; undefined where none is set and none is needed.
 *
 * @throws ConfigError `key_missing` or `key_malformed` that names the variable, never the value
 */
export function apiKey(
  provider: RemoteProviderName,
  url: URL,
  { keys }: Pick<RemoteSettings, 'keys'>,
): Secret | undefined {
  const key = keys.any ?? keys[provider === 'tei' ? 'huggingface' : provider];
  if (key === undefined && NEED_KEYS.has(url.hostname)) {
    const variable = VARIABLES[provider];
    throw new ConfigError('key_missing', `${variable} is not set, expected a key for ${shownUrl(url)}.`, {
      step: 'configuration',
      hint: `Set ${variable}, or ${variable}_FILE with a file that holds the key; see docs/providers/${provider}.md.`,
    });
  }
  if (key !== undefined && !HEADER_TEXT.test(key.reveal())) {
    const message = `${key.source} holds spaces or characters outside of ASCII, expected a key as the service gave it.`;
    throw new ConfigError('key_malformed', message, {
      step: 'configuration',
      hint: `Copy the key again, on one line and without quotes, into ${key.source}.`,
    });
  }
  return key;
}
