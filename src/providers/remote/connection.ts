import type { Secret } from '../../config/secret.ts';
import type { RemoteProviderName, RemoteSettings } from '../../config/types.ts';
import { ConfigError, messageOf } from '../../errors.ts';
import { openScope, orAborted } from './abort-scope.ts';
import { describeStatus } from './describe-status.ts';
import { checkAddresses, type ResolveName, shownUrl } from './endpoint.ts';
import { RequestFailure } from './request-failure.ts';

export interface ConnectionOptions {
  readonly provider: RemoteProviderName;
  readonly model: string;
  readonly key: Secret | undefined;
  /** The header that carries the key. */
  readonly keyHeader: (key: string) => Readonly<Record<string, string>>;
  readonly settings: Pick<RemoteSettings, 'requestTimeoutMs'>;
  /** A name to all its addresses; as the system says unless given. */
  readonly resolve?: ResolveName;
}

export interface OutgoingRequest {
  readonly url: URL;
  /** Sent as JSON with POST; undefined is a GET. */
  readonly body?: unknown;
  /** Texts in it, for what an error says. */
  readonly texts: number;
}

export interface JsonAnswer {
  readonly json: unknown;
  readonly headers: Headers;
}

/** Sends one request, once. Rejects with a RequestFailure, a ConfigError or the signal's reason. */
export type Connection = (request: OutgoingRequest, signal: AbortSignal) => Promise<JsonAnswer>;

const MOST_REDIRECTS = 3;
/** Redirects that keep method and body. */
const FOLLOWED: ReadonlySet<number> = new Set([307, 308]);
const TIMED_OUT = Symbol('timed out');

export function openConnection(options: ConnectionOptions): Connection {
  let checked: Promise<void> | undefined;
  return async (request, signal) => {
    checked ??= checkAddresses(request.url, options.resolve);
    try {
      await orAborted(checked, signal);
    } catch (error) {
      checked = undefined;
      if (error instanceof ConfigError || signal.aborted) throw error;
      throw unreachable(request, options, error, false);
    }
    return withinTime(request, options, signal);
  };
}

/** The request with its answer's body, ended together after the time for one request: a socket that stays half-open ends too. */
async function withinTime(
  request: OutgoingRequest,
  options: ConnectionOptions,
  outer: AbortSignal,
): Promise<JsonAnswer> {
  const scope = openScope(outer);
  const { requestTimeoutMs } = options.settings;
  const timer = setTimeout(() => scope.abort(TIMED_OUT), requestTimeoutMs);
  try {
    return await exchange(request, options, scope.signal);
  } catch (error) {
    if (error instanceof RequestFailure || error instanceof ConfigError) throw error;
    if (outer.aborted) throw outer.reason;
    if (scope.signal.reason === TIMED_OUT) throw timedOut(request, requestTimeoutMs);
    throw unreachable(request, options, error, true);
  } finally {
    clearTimeout(timer);
    scope.end();
  }
}

async function exchange(
  request: OutgoingRequest,
  options: ConnectionOptions,
  signal: AbortSignal,
): Promise<JsonAnswer> {
  const response = await follow(request, options, signal);
  const text = await response.text();
  if (response.ok) return { json: parseAnswer(text, request), headers: response.headers };
  const { provider, model, key } = options;
  throw describeStatus({
    provider,
    model,
    status: response.status,
    headers: response.headers,
    body: parseOrText(text),
    redact: (quoted) => key?.redactFrom(quoted) ?? quoted,
    url: shownUrl(request.url),
    texts: request.texts,
  });
}

/** Follows redirects on the same server only: elsewhere nobody said that the key and the texts may go. */
async function follow(request: OutgoingRequest, options: ConnectionOptions, signal: AbortSignal): Promise<Response> {
  let { url } = request;
  const init = requestInit(request, options, signal);
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, init);
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) return response;
    await response.body?.cancel();
    const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
    const isFollowed = target?.origin === url.origin && FOLLOWED.has(response.status) && redirects < MOST_REDIRECTS;
    if (target === undefined || !isFollowed) throw redirected(url, response.status, target, options);
    url = target;
  }
}

function requestInit({ body }: OutgoingRequest, options: ConnectionOptions, signal: AbortSignal): RequestInit {
  const headers = {
    accept: 'application/json',
    'user-agent': 'reembed',
    ...(options.key === undefined ? {} : options.keyHeader(options.key.reveal())),
  };
  if (body === undefined) return { method: 'GET', headers, redirect: 'manual', signal };
  return {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    redirect: 'manual',
    signal,
  };
}

function parseAnswer(text: string, request: OutgoingRequest): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const message = `${shownUrl(request.url)} answered 200 with ${text.length} characters that are not JSON.`;
    throw passing('answer_malformed', message, true);
  }
}

function parseOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function timedOut(request: OutgoingRequest, milliseconds: number): RequestFailure {
  const message = `${shownUrl(request.url)} gave no full answer within ${milliseconds / 1000} s (EMBEDDING_REQUEST_TIMEOUT).`;
  return passing('service_silent', message, true);
}

/** `fetch` says only that it failed; what happened is in the cause. Both go into the message as text, without the key. */
function unreachable(
  request: OutgoingRequest,
  { key }: ConnectionOptions,
  error: unknown,
  mayCost: boolean,
): RequestFailure {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const said = messageOf(cause) || String((cause as { code?: unknown }).code);
  const message = `${shownUrl(request.url)} could not be asked: ${key?.redactFrom(said) ?? said}.`;
  return passing('service_unreachable', message, mayCost && !/ECONNREFUSED|ENOTFOUND/.test(said));
}

function passing(code: string, message: string, mayCost: boolean): RequestFailure {
  const hint = 'Check EMBEDDING_BASE_URL and the service, and run the command again; what was written stays.';
  return new RequestFailure(message, { kind: 'passing', code, hint, scope: 'service', mayCost });
}

function redirected(url: URL, status: number, target: URL | undefined, { key }: ConnectionOptions): RequestFailure {
  const place = target === undefined ? 'an address that is no URL' : shownUrl(target);
  const message = `${shownUrl(url)} answered ${status} and leads to ${key?.redactFrom(place) ?? place}; the key and the texts were not sent there.`;
  return new RequestFailure(message, {
    kind: 'refused',
    code: 'redirected',
    hint: 'If that is the right server, set EMBEDDING_BASE_URL to it.',
    scope: 'service',
    status,
  });
}
