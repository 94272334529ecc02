import { bareHost, isLoopback, isMetadataHost } from '../../config/link-local.ts';
import type { RemoteSettings } from '../../config/types.ts';
import { ConfigError } from '../../errors.ts';
import { explainFailure } from './hub-errors.ts';

/** Where models come from, and with which token; `loadRuntimeSettings().remote` is one. */
export interface HubSettings extends Pick<RemoteSettings, 'hubUrl' | 'allowHttp' | 'requestTimeoutMs'> {
  readonly keys: Pick<RemoteSettings['keys'], 'huggingface'>;
}

export interface HubAnswer {
  readonly response: Response;
  /** Where it came from: of a large file another host than the Hub. */
  readonly from: URL;
  /** The headers of the Hub's own last answer: those about a large file come with the redirect away from it. */
  readonly hubHeaders: Headers;
  /** To be called when a byte came: without any for `requestTimeoutMs` the request is given up. */
  readonly alive: () => void;
  /** To be called at the end. */
  readonly done: () => void;
}

interface RequestOptions {
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Follows redirects on the Hub itself only, as of a renamed repository. */
  readonly stayOnHub?: boolean;
}

const MAX_REDIRECTS = 8;

/**
 * Asks for `path` of the Hub and follows redirects by hand: the token goes to the Hub's own origin and to nobody else.
 * @throws ConfigError `hub_insecure`, `address_refused`; HubError `hub_unreachable` when no answer comes; the signal's reason when it aborts.
 */
export async function requestHub(hub: HubSettings, path: string, options: RequestOptions = {}): Promise<HubAnswer> {
  const home = new URL(hub.hubUrl);
  const stop = new AbortController();
  const idle = setTimeout(() => stop.abort(silent(hub)), hub.requestTimeoutMs);
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  let from = new URL(`${hub.hubUrl}${path}`);
  let hubHeaders = new Headers();
  try {
    for (let hops = 0; ; hops++) {
      assertAllowed(from, hub);
      const response = await fetch(from, {
        method: options.method ?? 'GET',
        headers: { ...options.headers, ...headersFor(from, home, hub) },
        redirect: 'manual',
        signal,
      });
      idle.refresh();
      if (from.origin === home.origin) hubHeaders = response.headers;
      const next = nextOf(response, from);
      const away = options.stayOnHub === true && next?.origin !== home.origin;
      if (next === undefined || away || hops === MAX_REDIRECTS) {
        return { response, from, hubHeaders, alive: () => void idle.refresh(), done: () => clearTimeout(idle) };
      }
      await response.body?.cancel();
      from = next;
    }
  } catch (error) {
    clearTimeout(idle);
    options.signal?.throwIfAborted();
    if (error instanceof ConfigError) throw error;
    throw explainFailure(hub.hubUrl, from, error);
  }
}

function headersFor(to: URL, home: URL, { keys }: HubSettings): Record<string, string> {
  // Compressed, a part of a file could not be counted in bytes of the file.
  const headers = { 'accept-encoding': 'identity', 'user-agent': 'reembed' };
  if (to.origin !== home.origin || keys.huggingface === undefined) return headers;
  return { ...headers, authorization: `Bearer ${keys.huggingface.reveal()}` };
}

function nextOf(response: Response, from: URL): URL | undefined {
  const location = response.headers.get('location');
  if (response.status < 300 || response.status >= 400 || location === null) return undefined;
  return URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
}

function assertAllowed(to: URL, { allowHttp, hubUrl }: HubSettings): void {
  const host = bareHost(to);
  const who = to.origin === new URL(hubUrl).origin ? 'HF_ENDPOINT' : `A redirect of ${hubUrl}`;
  if (isMetadataHost(host)) {
    const message = `${who} leads to ${host}, a link-local address or a cloud's metadata service; a server of model files was expected.`;
    throw new ConfigError('address_refused', message, {
      step: 'configuration',
      hint: 'Set HF_ENDPOINT to the address of the Hub or of a mirror of it.',
    });
  }
  if (to.protocol === 'https:' || (to.protocol === 'http:' && (allowHttp || isLoopback(host)))) return;
  throw new ConfigError('hub_insecure', `${who} leads to ${to.origin}, https was expected.`, {
    step: 'configuration',
    hint: 'Set HF_ENDPOINT to an https address, or EMBEDDING_ALLOW_HTTP=1 where the network between is your own.',
  });
}

function silent({ requestTimeoutMs }: HubSettings): Error {
  return new Error(`nothing came for ${requestTimeoutMs / 1000} s`);
}
