import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { bareHost, isLoopback, isMetadataAddress, isMetadataHost } from '../../config/link-local.ts';
import type { RemoteSettings } from '../../config/types.ts';
import { ConfigError } from '../../errors.ts';

/**
 * `base` with `path` after its own path; a query stays.
 *
 * @throws ConfigError when texts would go unencrypted to another machine, or to an address that embeds nothing
 */
export function endpointUrl(base: string, path: string, settings: Pick<RemoteSettings, 'allowHttp'>): URL {
  const url = new URL(base);
  url.pathname = url.pathname.replace(/\/+$/, '') + path;
  const host = bareHost(url);
  if (isMetadataHost(host)) throw addressRefused(host, host);
  if (url.protocol === 'http:' && !settings.allowHttp && !isLoopback(host)) {
    const message = `${shownUrl(url)} is plain http to another machine: texts and the key would go unencrypted, expected https.`;
    throw new ConfigError('http_refused', message, {
      step: 'configuration',
      hint: 'Set EMBEDDING_BASE_URL to an https URL, or EMBEDDING_ALLOW_HTTP=1 where the network between is your own.',
    });
  }
  return url;
}

/** A URL for messages: without its query, where some services take a key. */
export function shownUrl(url: URL): string {
  return url.origin + url.pathname;
}

/** A name to all its addresses. */
export type ResolveName = (host: string) => Promise<readonly { readonly address: string }[]>;

/**
 * Refuses a name behind which a link-local address or a cloud's metadata service stands.
 *
 * @throws ConfigError `address_refused`; what `dns.lookup` throws for a name that it does not find
 */
export async function checkAddresses(
  url: URL,
  resolve: ResolveName = (host) => lookup(host, { all: true }),
): Promise<void> {
  const host = bareHost(url);
  if (isIP(host) !== 0) return;
  const found = (await resolve(host)).find(({ address }) => isMetadataAddress(address));
  if (found !== undefined) throw addressRefused(host, found.address);
}

function addressRefused(host: string, address: string): ConfigError {
  const is = host === address ? `${host} is` : `${host} resolves to ${address},`;
  return new ConfigError(
    'address_refused',
    `${is} a link-local address or a cloud's metadata service, expected a server that embeds texts.`,
    { step: 'configuration', hint: 'Correct EMBEDDING_BASE_URL.' },
  );
}
