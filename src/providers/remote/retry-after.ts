import { fieldsOf } from './json-fields.ts';

/** Milliseconds that an answer asks to wait before the next request; undefined where it does not say. */
export function retryAfterMs(headers: Headers, body: unknown, now: number = Date.now()): number | undefined {
  return inMilliseconds(headers) ?? inSecondsOrAsDate(headers, now) ?? inBody(body);
}

/** OpenAI's and Azure's own header. */
function inMilliseconds(headers: Headers): number | undefined {
  return duration(headers.get('retry-after-ms'), 1);
}

/** RFC 9110, 10.2.3: seconds, or a date. A date that has passed means now. */
function inSecondsOrAsDate(headers: Headers, now: number): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  const seconds = duration(value, 1000);
  if (seconds !== undefined) return seconds;
  const date = Date.parse(value);
  return Number.isNaN(date) || /^\s*-/.test(value) ? undefined : Math.max(0, date - now);
}

/** Hugging Face says how long a model still loads (`estimated_time`, seconds), Google when to come again (`retryDelay`, e.g. `34s`). */
function inBody(body: unknown): number | undefined {
  const { estimated_time: loading, error } = fieldsOf(body);
  if (typeof loading === 'number' && loading >= 0) return loading * 1000;
  const { details } = fieldsOf(error);
  if (!Array.isArray(details)) return undefined;
  const delays = details.map((detail) => fieldsOf(detail).retryDelay).filter((delay) => typeof delay === 'string');
  return duration(delays[0]?.replace(/s$/, '') ?? null, 1000);
}

function duration(text: string | null, unitMs: number): number | undefined {
  return text !== null && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) * unitMs : undefined;
}
