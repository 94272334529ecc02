import type { IncomingHttpHeaders } from 'node:http';
import type { WireAnswer, WireVector } from './scripted-protocols.ts';

/** What a service does with one request. */
export type Step =
  /** Answers rightly, `delayMs` later. */
  | { readonly kind: 'ok'; readonly delayMs?: number }
  /** Any answer of its own: 429 with `retry-after`, 401, 410, 413, 500, a redirect with `location`. `{key}` in `body` repeats the key that came. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    }
  /** Closes the connection without an answer. */
  | { readonly kind: 'reset' }
  /** Sends half of the right answer and cuts the connection. */
  | { readonly kind: 'cut' }
  /** Half-open: takes the request and never answers. */
  | { readonly kind: 'silent' }
  /** Sends half of the right answer and never the rest. */
  | { readonly kind: 'stall' }
  /** 200 with half of the right answer as if it were all. */
  | { readonly kind: 'malformed' }
  /** One vector fewer, one more, the first one twice, an index that no text has or none at all, the order turned round. */
  | { readonly kind: 'too-few' | 'too-many' | 'duplicated' | 'misnumbered' | 'unnumbered' | 'misordered' }
  /** Vectors of other dimensions than the service's own. */
  | { readonly kind: 'dimensions'; readonly dimensions: number }
  /** Vectors so many times too long. */
  | { readonly kind: 'long'; readonly factor: number }
  /** The vector of the text at `at` (0) is all zeros, has NaN (`null` in JSON), or is a list of vectors. */
  | { readonly kind: 'zero' | 'nan' | 'token-vectors'; readonly at?: number };

/** A right answer, changed as `step` says. */
export function changeAnswer(step: Step, answer: WireAnswer): WireAnswer {
  const { vectors } = answer;
  const [first, ...rest] = vectors;
  if (first === undefined) return answer;
  switch (step.kind) {
    case 'too-few':
      return { ...answer, vectors: vectors.slice(0, -1) };
    case 'too-many':
      return { ...answer, vectors: [...vectors, { ...first, index: vectors.length }] };
    case 'duplicated':
      return { ...answer, vectors: [...vectors.slice(0, -1), first] };
    case 'misnumbered':
      return { ...answer, vectors: [...rest, { ...first, index: vectors.length }] };
    case 'unnumbered':
      return { ...answer, vectors: vectors.map(({ values }) => ({ index: undefined, values })) };
    case 'misordered':
      return { ...answer, vectors: vectors.toReversed() };
    case 'long':
      return { ...answer, vectors: vectors.map((one) => ({ ...one, values: stretched(one.values, step.factor) })) };
    case 'zero':
      return withVector(answer, step.at, (values) => Array.from(values, () => 0));
    case 'nan':
      return withVector(answer, step.at, (values) => [null, ...[...values].slice(1)]);
    case 'token-vectors':
      return withVector(answer, step.at, (values) => [[...values], [...values]] as unknown as WireVector);
    default:
      return answer;
  }
}

function withVector(
  answer: WireAnswer,
  at: number | undefined,
  change: (values: WireVector) => WireVector,
): WireAnswer {
  const vectors = answer.vectors.map((vector, i) =>
    i === (at ?? 0) ? { ...vector, values: change(vector.values) } : vector,
  );
  return { ...answer, vectors };
}

function stretched(values: WireVector, factor: number): WireVector {
  return Array.from(values, (value) => (value === null ? null : value * factor));
}

/** The key that a request carried, in whichever header. */
export function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const google = headers['x-goog-api-key'];
  return typeof google === 'string' ? google : headers.authorization?.replace(/^Bearer /, '');
}
