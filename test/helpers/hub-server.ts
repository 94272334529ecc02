import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A repository of the test's Hub. */
export interface HubRepository {
  readonly commit: string;
  /** Contents by path. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** Paths that are in Git LFS; those of weights unless said. */
  readonly lfs?: readonly string[];
  readonly license?: string;
  /** Who may read its files; everybody unless said. */
  readonly token?: string;
  readonly gated?: boolean;
  /** The commit before this one, which can still be asked for. */
  readonly earlier?: HubRepository;
  /** Files that are listed and cannot be had. */
  readonly missing?: readonly string[];
  /** Another name that leads here. */
  readonly formerName?: string;
  /** Sizes that are listed instead of the true ones. */
  readonly listedBytes?: Readonly<Record<string, number>>;
  /** Lists names only, as some mirrors do. */
  readonly barelyListed?: boolean;
}

/** How the servers misbehave; each is taken off when it has happened. */
export interface HubFaults {
  /** Closes the connection after so many bytes of a large file's body; one entry a request. */
  cutAfter: number[];
  /** The next so many requests for large files are answered as if they had no Range. */
  ignoreRange: number;
  /** The next so many requests with a Range are answered 416. */
  refuseRange: number;
  /** The next so many answers with a part begin this many bytes too early. */
  shiftedRange: number;
  /** The next so many requests to the Hub itself are answered 429. */
  tooMany: number;
  /** The next so many requests for large files are answered 503. */
  unavailable: number;
  /** Alters one byte of each body of this path. */
  alter: string | undefined;
  /** Sends bodies byte by byte from here on and never ends them. */
  hangAfter: number | undefined;
}

export interface LoggedRequest {
  readonly server: 'hub' | 'cdn';
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface HubServer {
  readonly url: string;
  readonly repositories: Map<string, HubRepository>;
  readonly faults: HubFaults;
  readonly requests: LoggedRequest[];
  /** Where the Hub says large files lie; the second server unless a test leads elsewhere. */
  cdnUrl: string;
  close(): Promise<void>;
}

/**
 * A Hub on this machine: its API, small files given out directly, and large ones by a redirect to a second server under another host
 * name, which knows Range. Source of the behaviour: huggingface_hub's client and the Hub's documented API.
 */
export async function startHubServer(): Promise<HubServer> {
  const state = { repositories: new Map<string, HubRepository>(), requests: [] as LoggedRequest[], faults: noFaults() };
  const cdn = await listen((request, response) => serveLarge(state, request, response));
  const result: HubServer = {
    ...state,
    url: '',
    cdnUrl: `http://localhost:${cdn.port}`,
    close: async () => {
      await Promise.all([cdn.close(), hub.close()]);
    },
  };
  const hub = await listen((request, response) => serveHub(result, request, response));
  return Object.assign(result, { url: `http://127.0.0.1:${hub.port}` });
}

type State = Pick<HubServer, 'repositories' | 'faults' | 'requests'>;

const CUT_DELAY_MS = 400;

export function noFaults(): HubFaults {
  return {
    cutAfter: [],
    ignoreRange: 0,
    refuseRange: 0,
    shiftedRange: 0,
    tooMany: 0,
    unavailable: 0,
    alter: undefined,
    hangAfter: undefined,
  };
}

export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The id that Git gives a file. */
export function gitBlobId(content: Uint8Array | string): string {
  const bytes = Buffer.from(content);
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

async function listen(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port, close };
}

function log(state: State, server: LoggedRequest['server'], request: IncomingMessage): void {
  const { method = '', url: path = '', headers } = request;
  state.requests.push({ server, method, path, range: headers.range, authorization: headers.authorization });
}

function serveHub(state: HubServer, request: IncomingMessage, response: ServerResponse): unknown {
  log(state, 'hub', request);
  if (state.faults.tooMany-- > 0) return failed(response, 429, '', 'We had to rate limit you');
  const { pathname } = new URL(request.url ?? '/', state.url);
  const [, api, name, revision, path] =
    /^\/(api\/models\/)?([^/]+\/[^/]+)\/(?:revision|resolve)\/([^/]+)(?:\/(.+))?$/.exec(pathname) ?? [];
  const moved = [...state.repositories].find(([, repository]) => repository.formerName === name);
  if (moved !== undefined) return redirect(response, 307, (request.url ?? '').replace(name ?? '', moved[0]));
  const latest = state.repositories.get(name ?? '');
  const repository = latest?.earlier?.commit === revision ? latest?.earlier : latest;
  if (name === undefined || repository === undefined) return notFound(request, response);
  const [sent] = (request.headers.authorization ?? '').split(' ').slice(1);
  if (sent === 'revoked') return failed(response, 401, '', 'Invalid credentials in Authorization header');
  if (decodeURIComponent(revision ?? '') !== 'main' && revision !== repository.commit) {
    return failed(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
  }
  response.setHeader('x-repo-commit', repository.commit);
  if (api !== undefined) return sendInfo(response, name, repository);
  if (repository.token !== undefined && sent !== repository.token) {
    return repository.gated
      ? failed(response, sent === undefined ? 401 : 403, 'GatedRepo', `Access to model ${name} is restricted.`)
      : notFound(request, response);
  }
  return sendFile(state, repository, decodeURIComponent(path ?? ''), request, response);
}

function sendInfo(response: ServerResponse, name: string, repository: HubRepository): unknown {
  const siblings = Object.entries(repository.files).map(([rfilename, content]) => {
    const size = repository.listedBytes?.[rfilename] ?? Buffer.byteLength(content);
    if (repository.barelyListed) return { rfilename };
    const lfs = isLarge(repository, rfilename) ? { lfs: { sha256: sha256(content), size, pointerSize: 134 } } : {};
    return { rfilename, size, blobId: gitBlobId(content), ...lfs };
  });
  const { commit: sha, license, gated = false } = repository;
  const cardData = license === undefined ? undefined : { license };
  response.setHeader('content-type', 'application/json');
  return response.end(JSON.stringify({ id: name, modelId: name, sha, private: false, gated, cardData, siblings }));
}

function sendFile(
  state: HubServer,
  repository: HubRepository,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): unknown {
  const content = repository.files[path];
  if (content === undefined || repository.missing?.includes(path))
    return failed(response, 404, 'EntryNotFound', 'Entry not found');
  if (!isLarge(repository, path)) {
    response.setHeader('etag', `"${gitBlobId(content)}"`);
    return sendBody(state, path, Buffer.from(content), request, response);
  }
  response.setHeader('x-linked-etag', `"${sha256(content)}"`);
  response.setHeader('x-linked-size', Buffer.byteLength(content));
  response.setHeader('etag', '"of-the-pointer"');
  redirect(response, 302, `${state.cdnUrl}/${sha256(content)}?path=${encodeURIComponent(path)}&X-Signature=abc`);
}

/** The second server: knows content by its hash and nothing of tokens. */
function serveLarge(state: State, request: IncomingMessage, response: ServerResponse): unknown {
  log(state, 'cdn', request);
  if (state.faults.unavailable > 0) {
    state.faults.unavailable--;
    return failed(response, 503, '', '');
  }
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const path = searchParams.get('path') ?? '';
  for (const { files } of [...state.repositories.values()].flatMap((each) => [each, each.earlier ?? each])) {
    const content = files[path];
    if (content !== undefined && `/${sha256(content)}` === pathname) {
      response.setHeader('etag', '"d41d8cd98f00b204e9800998ecf8427e-15"');
      return sendBody(state, path, Buffer.from(content), request, response);
    }
  }
  return failed(response, 403, '', 'AccessDenied');
}

function sendBody(
  { faults }: Pick<State, 'faults'>,
  path: string,
  content: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
): unknown {
  const total = content.length;
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const ranged = asked !== undefined && faults.ignoreRange-- <= 0;
  const start = ranged ? Number(asked) - (faults.shiftedRange-- > 0 ? 1 : 0) : 0;
  response.setHeader('accept-ranges', 'bytes');
  if (ranged && (start >= total || faults.refuseRange-- > 0)) {
    response.setHeader('content-range', `bytes */${total}`);
    return failed(response, 416, '', '');
  }
  if (ranged) response.setHeader('content-range', `bytes ${start}-${total - 1}/${total}`);
  response.setHeader('content-length', total - start);
  response.writeHead(ranged ? 206 : 200);
  if (request.method === 'HEAD') return response.end();
  const body = Buffer.from(content.subarray(start));
  if (faults.alter === path && body.length > 0) body[0] = (body[0] ?? 0) ^ 1;
  const cut = path.includes('.onnx') ? faults.cutAfter.shift() : undefined;
  if (cut !== undefined) {
    // fetch drops what it has received and not handed on when the connection ends: a busy reader would get nothing.
    return response.write(body.subarray(0, cut), () =>
      setTimeout(() => response.destroy(), cut === 0 ? 0 : CUT_DELAY_MS),
    );
  }
  if (faults.hangAfter !== undefined && path.includes('.onnx')) {
    return response.write(body.subarray(0, faults.hangAfter));
  }
  return response.end(body);
}

function isLarge({ lfs, files }: HubRepository, path: string): boolean {
  return lfs?.includes(path) ?? (path in files && /\.(onnx|onnx_data(_\d+)?|data|bin)$/.test(path));
}

function redirect(response: ServerResponse, status: number, location: string): unknown {
  response.writeHead(status, { location });
  return response.end(`Redirecting to ${location}`);
}

/** Who is not signed in is told nothing about which repositories exist. */
function notFound(request: IncomingMessage, response: ServerResponse): unknown {
  if (request.headers.authorization === undefined) {
    return failed(response, 401, '', 'Invalid username or password.');
  }
  return failed(response, 404, 'RepoNotFound', 'Repository not found');
}

function failed(response: ServerResponse, status: number, code: string, message: string): unknown {
  if (code !== '') response.setHeader('x-error-code', code);
  if (message !== '') response.setHeader('x-error-message', message);
  response.writeHead(status, { 'content-type': 'application/json' });
  return response.end(JSON.stringify({ error: message }));
}
