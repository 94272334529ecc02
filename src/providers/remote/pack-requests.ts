import { estimateTokens } from './estimate-tokens.ts';

/** What a service takes in one request. */
export interface RequestLimits {
  readonly items: number;
  /** Of all texts together. */
  readonly tokens: number;
  /** UTF-8, as JSON. */
  readonly bytes: number;
  /** Longer texts count as this many: they are cut there, by the service or before they are sent again. */
  readonly tokensPerText: number;
  /** Whether a text that is too long makes the service refuse the whole request: it is then asked for alone. */
  readonly refusesLong: boolean;
}

/**
 * Cuts `texts`, in order, into as few requests as the limits allow. A text that is over a limit by itself gets a request of its own: the
 * service, not an estimate, decides about it.
 */
export function packRequests(texts: readonly string[], limits: RequestLimits): (readonly string[])[] {
  const requests: string[][] = [];
  let open: string[] = [];
  let tokens = 0;
  let bytes = 0;
  let isAlone = false;
  for (const text of texts) {
    const textTokens = estimatedTokens([text], limits);
    const textBytes = jsonBytes([text]);
    const isLong = limits.refusesLong && estimateTokens(text) > limits.tokensPerText;
    const fits =
      open.length < limits.items && tokens + textTokens <= limits.tokens && bytes + textBytes <= limits.bytes;
    if (open.length === 0 || !fits || isLong || isAlone) {
      open = [];
      requests.push(open);
      tokens = 0;
      bytes = 0;
    }
    open.push(text);
    isAlone = isLong;
    tokens += textTokens;
    bytes += textBytes;
  }
  return requests;
}

/** What `texts` take in a request, as JSON. */
export function jsonBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(JSON.stringify(text)) + 1, 0);
}

/** Tokens that a service counts for `texts`, by estimate. */
export function estimatedTokens(
  texts: readonly string[],
  { tokensPerText }: Pick<RequestLimits, 'tokensPerText'>,
): number {
  return texts.reduce((sum, text) => sum + Math.min(estimateTokens(text), tokensPerText), 0);
}
