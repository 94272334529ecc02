import { type FailureDetails, RequestFailure } from './request-failure.ts';
import { retryAfterMs } from './retry-after.ts';

/** What a service said instead of 200. */
export interface RefusedAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, else the text. */
  readonly body: unknown;
  /** Takes the key out of what is quoted. */
  redact(text: string): string;
  /** Without a query. */
  readonly url: string;
  readonly provider: string;
  readonly model: string;
  /** Texts in the request. */
  readonly texts: number;
}

const LONGEST_QUOTE = 300;
/** How services say that a request, not one of its texts, is too large. */
const BATCH_TOO_LARGE =
  /batch[ _-]?size|too (many|large|big)|max_tokens_per_request|tokens per request|at most \d+ (requests|inputs|items|texts)|array too long|payload/i;
/** Those among them that count the texts. */
const TOO_MANY_TEXTS = /batch[ _-]?size|too many (?!tokens)|at most \d+ (requests|inputs|items|texts)|array too long/i;
/** OpenAI's 429 for a request that holds more tokens than the account has a minute: it would never pass. */
const LARGER_THAN_A_MINUTE = /^request too large/i;
/** Refusals that no waiting helps: OpenAI's empty account, and Google's wrong key, which comes as 400. */
const NO_CREDIT = /insufficient_quota|billing_hard_limit|exceeded your monthly/i;
const WRONG_KEY = /API_KEY_INVALID|api key (not valid|expired)/i;
/** TEI answers 424 when inference failed: out of memory, a worker that is gone. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 424, 425]);
const ABOUT_CREDIT: ReadonlySet<number> = new Set([403, 429]);

/** Turns an answer that is not 200 into what is to be done about it. */
export function describeStatus(answer: RefusedAnswer): RequestFailure {
  const { status, url, body } = answer;
  const said = shorten(answer.redact(quote(body)));
  const message = `${url} answered ${status}${said === '' ? '' : `: ${said}`}`;
  return new RequestFailure(/[.!?]$/.test(message) ? message : `${message}.`, { ...decide(answer, said), status });
}

function decide(answer: RefusedAnswer, said: string): FailureDetails {
  const { status, headers, body } = answer;
  const all = typeof body === 'string' ? body : JSON.stringify(body);
  const wait = retryAfterMs(headers, body);
  if (status === 402 || (ABOUT_CREDIT.has(status) && NO_CREDIT.test(all)))
    return refused('quota_exhausted', 'Look at the account: credit, billing and limits.');
  if (status === 401 || status === 403 || (status === 400 && WRONG_KEY.test(all))) return keyRefused(answer);
  if (isTooLarge(answer, said)) {
    return {
      kind: 'too-large',
      code: 'request_too_large',
      hint: 'Set EMBEDDING_BATCH_SIZE lower.',
      scope: 'service',
      isAboutCount: TOO_MANY_TEXTS.test(said),
    };
  }
  if (status === 429 || (status === 503 && wait !== undefined)) {
    return {
      kind: 'congested',
      code: 'service_busy',
      hint: 'Run the command again later, or set REEMBED_REQUESTS_PER_MINUTE, REEMBED_TOKENS_PER_MINUTE or EMBEDDING_MAX_REQUESTS lower.',
      scope: 'service',
      retryAfterMs: wait,
    };
  }
  if (status >= 500 || PASSING.has(status)) {
    const hint = 'Run the command again; what was written stays. If it goes on, look at the service.';
    return { kind: 'passing', code: 'service_failed', hint, scope: 'service', retryAfterMs: wait };
  }
  return decideRefusal(answer);
}

/** Whether fewer texts at a time may pass. */
function isTooLarge({ status, texts }: RefusedAnswer, said: string): boolean {
  if (texts < 2) return false;
  if (status === 413) return true;
  if (status === 429) return LARGER_THAN_A_MINUTE.test(said);
  return (status === 400 || status === 422) && BATCH_TOO_LARGE.test(said);
}

function decideRefusal({ status, model, provider }: RefusedAnswer): FailureDetails {
  const settings = `Check EMBEDDING_MODEL and EMBEDDING_BASE_URL; see docs/providers/${provider}.md.`;
  switch (status) {
    case 400:
    case 413:
    case 422:
      return {
        ...refused('request_refused', `If every text is refused, look at the settings. ${settings}`),
        scope: 'text',
      };
    case 404:
      return refused('model_unknown', settings);
    case 410:
      return refused(
        'model_gone',
        `The service no longer offers ${model}: choose another model or host it yourself. Its vectors in the table stay as they are.`,
      );
    default:
      return refused('request_refused', settings);
  }
}

function keyRefused({ provider }: RefusedAnswer): FailureDetails {
  return refused(
    'key_refused',
    `Check the key and what it may do; docs/providers/${provider}.md says which variable holds it.`,
  );
}

function refused(code: string, hint: string): FailureDetails {
  return { kind: 'refused', code, hint, scope: 'service' };
}

/** The sentence that a person should read out of an error's body, on one line. */
function quote(body: unknown): string {
  const text = findMessage(body) ?? (typeof body === 'string' ? body : JSON.stringify(body));
  return text.replace(/\s+/g, ' ').trim();
}

/** After the key was taken out: its beginning must not be left either. */
function shorten(text: string): string {
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
}

/** OpenAI and Google: `error.message`; TEI and Hugging Face: `error`; vLLM: `message`; FastAPI: `detail`. */
function findMessage(body: unknown): string | undefined {
  if (typeof body === 'string') return body;
  if (Array.isArray(body)) return findMessage(body[0]);
  if (typeof body !== 'object' || body === null) return undefined;
  const { error, message, detail, msg } = body as Readonly<Record<string, unknown>>;
  for (const value of [error, message, detail, msg]) {
    const found = findMessage(value);
    if (found !== undefined) return found;
  }
  return undefined;
}
