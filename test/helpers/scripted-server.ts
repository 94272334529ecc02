import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import {
  answerBody,
  countTokens,
  hashVectors,
  protocolOf,
  type RecordedRequest,
  textsOf,
} from './scripted-protocols.ts';
import { changeAnswer, keyOf, type Step } from './scripted-steps.ts';

export interface ScriptedServerOptions {
  /** Of the vectors where the request does not say; 8. */
  readonly dimensions?: number;
  /** Requests without this key get 401. */
  readonly key?: string;
  /** Laid over what `GET /info` says. */
  readonly info?: Readonly<Record<string, unknown>>;
}

export interface ScriptedServer {
  /** `EMBEDDING_BASE_URL` by provider. */
  readonly urls: Readonly<Record<'openai' | 'tei' | 'huggingface' | 'gemini', string>>;
  /** Every request in the order of arrival, those for `/info` too. */
  readonly requests: readonly RecordedRequest[];
  /** Only those that asked for vectors. */
  embedded(): readonly RecordedRequest[];
  /** Most requests that were in flight at once. */
  mostInFlight(): number;
  /** Takes these steps one by one, a step a request for vectors; then `rule` decides, then answers are right. */
  script(...steps: readonly Step[]): void;
  /** Decides for every request that no step is left for; undefined is a right answer. */
  rule: ((request: RecordedRequest) => Step | undefined) | undefined;
  /** Steps for `GET /info`, likewise. */
  scriptInfo(...steps: readonly Step[]): void;
  /** Another name is another model behind the same URL: other vectors for the same texts. */
  model: string;
  close(): Promise<void>;
}

/**
 * A real HTTP server on loopback that speaks the four protocols (OpenAI, TEI, Hugging Face, Gemini) with the vectors of `hash/<dimensions>`
 * (`hashVectors`), reranks as TEI does (a text's score is the first value of its vector), and misbehaves by a script of steps, as real services do. Close it at the end; answers that it still owes are dropped.
 *
 *     const server = await startScriptedServer({ key: 'sk-test' });
 *     server.script({ kind: 'status', status: 429, headers: { 'retry-after-ms': '5' } }, { kind: 'cut' });
 *     // EMBEDDING_BASE_URL=server.urls.openai OPENAI_API_KEY=sk-test: the first request gets 429, the second half an answer
 *     expect(server.embedded()).toHaveLength(3);
 */
export async function startScriptedServer(options: ScriptedServerOptions = {}): Promise<ScriptedServer> {
  const requests: RecordedRequest[] = [];
  const steps: Step[] = [];
  const infoSteps: Step[] = [];
  let inFlight = 0;
  const server = createServer((message, response) => {
    inFlight += 1;
    response.once('close', () => {
      inFlight -= 1;
    });
    // A client that went away in the middle of its request is not the server's failure.
    handle(message, response).catch(() => response.destroy());
  });

  async function handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrived = inFlight;
    const request = await record(message, arrived);
    requests.push(request);
    const isInfo = request.protocol === 'info';
    const scripted = isInfo ? infoSteps.shift() : steps.shift();
    const step = scripted ?? refusal(request, options.key) ?? (isInfo ? undefined : self.rule?.(request));
    const served = { dimensions: options.dimensions ?? 8, model: self.model, info: { ...INFO, ...options.info } };
    await play(step ?? { kind: 'ok' }, request, response, served);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const self: ScriptedServer = {
    urls: { openai: `${root}/v1`, tei: root, huggingface: `${root}/endpoint`, gemini: root },
    requests,
    embedded: () => requests.filter(({ protocol }) => protocol !== 'info'),
    mostInFlight: () => Math.max(0, ...requests.map((request) => request.inFlight)),
    script: (...more) => void steps.push(...more),
    scriptInfo: (...more) => void infoSteps.push(...more),
    rule: undefined,
    model: '',
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return self;
}

/** What TEI says about itself, as far as it is read. */
const INFO = {
  model_id: 'BAAI/bge-small-en-v1.5',
  model_sha: '5c38ec7c405ec4b44b94cc5a9bb96e735b38267a',
  model_dtype: 'float16',
  model_type: { embedding: { pooling: 'cls' } },
  max_concurrent_requests: 512,
  max_input_length: 512,
  max_batch_tokens: 16_384,
  max_client_batch_size: 32,
  auto_truncate: false,
  version: '1.7.2',
};

/** What a service answers by its model, where a step does not say otherwise. */
interface Served {
  readonly dimensions: number;
  readonly model: string;
  readonly info: Readonly<Record<string, unknown>>;
}

async function play(step: Step, request: RecordedRequest, response: ServerResponse, served: Served): Promise<void> {
  switch (step.kind) {
    case 'silent':
      return;
    case 'reset':
      response.destroy();
      return;
    case 'status':
      return send(response, step.status, step.body ?? { error: 'scripted' }, step.headers, request);
    case 'ok':
      if (step.delayMs !== undefined) await setTimeout(step.delayMs, undefined, { ref: false });
  }
  if (request.protocol === 'info') send(response, 200, served.info);
  else await answer(step, request, response, served);
}

async function answer(step: Step, request: RecordedRequest, response: ServerResponse, served: Served): Promise<void> {
  const asked = step.kind === 'dimensions' ? step.dimensions : (askedDimensions(request) ?? served.dimensions);
  const vectors = await hashVectors(request.texts, asked, served.model);
  const tokens = countTokens(request.texts);
  const right = { vectors: vectors.map((values, index) => ({ index, values })), tokens };
  const text = JSON.stringify(answerBody(request, changeAnswer(step, right)));
  const half = text.slice(0, text.length / 2);
  const headers = { 'content-type': 'application/json', 'x-compute-tokens': String(tokens) };
  if (step.kind === 'malformed') response.writeHead(200, headers).end(half);
  else if (step.kind === 'cut' || step.kind === 'stall') {
    response.writeHead(200, { ...headers, 'content-length': text.length }).write(half);
    if (step.kind === 'cut') await setTimeout(5).then(() => response.destroy());
  } else response.writeHead(200, headers).end(text);
}

async function record(message: IncomingMessage, inFlight: number): Promise<RecordedRequest> {
  const { method = '', url = '', headers } = message;
  const path = url.split('?')[0] ?? '';
  const protocol = protocolOf(method, path);
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const body = text === '' ? undefined : (JSON.parse(text) as Readonly<Record<string, unknown>>);
  return { protocol, method, path: url, headers, body, texts: textsOf(protocol, body), inFlight };
}

function refusal(request: RecordedRequest, key: string | undefined): Step | undefined {
  if (key === undefined || keyOf(request.headers) === key) return undefined;
  return { kind: 'status', status: 401, body: { error: { message: 'Incorrect API key provided: {key}.' } } };
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  request?: RecordedRequest,
): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const key = request === undefined ? undefined : keyOf(request.headers);
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(key === undefined ? text : text.replaceAll('{key}', key));
}

function askedDimensions({ protocol, body }: RecordedRequest): number | undefined {
  if (protocol !== 'gemini') return body?.dimensions as number | undefined;
  const [first] = (body?.requests ?? []) as readonly { readonly outputDimensionality?: number }[];
  return first?.outputDimensionality;
}
