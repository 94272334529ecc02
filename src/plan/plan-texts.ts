import { type Estimate, lessSure, times } from './estimate.ts';
import type { SampledText, TextSample } from './inputs.ts';
import { sampleTotal } from './sample-total.ts';

/** UTF-8 bytes a token where no tokenizer is here: English has about 4, Chinese and code 2 to 3, long plain words up to 6. */
export const BYTES_PER_TOKEN = { value: 4, low: 2, high: 6 };

/** What is to be embedded. */
export interface PlannedTexts {
  readonly sampledRows: number;
  /** What counted the tokens; undefined for an estimate from bytes. */
  readonly tokenizer: string | undefined;
  /** Rows that this migration has embedded already; all that follows is without them. */
  readonly done: Estimate;
  /** Rows whose text is to be embedded; NULL, empty and blank ones are not. */
  readonly texts: Estimate;
  readonly bytes: Estimate;
  /** What the model reads: special tokens counted in, long texts cut at its limit. */
  readonly tokens: Estimate;
  /** Of a text at most; undefined where it is not known. */
  readonly maxTokens: number | undefined;
  /** Texts over the limit. */
  readonly truncated: Estimate;
  /** Tokens that lie behind the limit. */
  readonly tokensLost: Estimate;
  /** Share of the sampled texts whose vectors are in the cache, 0 to 1. */
  readonly cachedShare: number;
}

/** What the sample says of all rows; undefined where it holds none of them. */
export function planTexts(rows: number, sample: TextSample | undefined): PlannedTexts | undefined {
  if (sample === undefined || (sample.texts.length === 0 && rows > 0)) return undefined;
  const limit = sample.maxTokens ?? Number.POSITIVE_INFINITY;
  const all = (amountOf: (text: SampledText) => number): Estimate =>
    sampleTotal(
      rows,
      sample.texts.map((text) => ({ page: text.page, value: amountOf(text) })),
    );
  const tokensOf = (of: (tokens: number) => number) => (bytesPerToken: number) =>
    all((text) => of(text.tokens ?? text.bytes / bytesPerToken));
  const total = (of: (tokens: number) => number): Estimate => overFactors(sample, tokensOf(of));
  const withText = sample.texts.filter(({ bytes }) => bytes > 0).length;
  return {
    sampledRows: sample.texts.length,
    tokenizer: sample.tokenizer,
    done: all(({ done }) => (done === true ? 1 : 0)),
    texts: all(({ bytes }) => (bytes > 0 ? 1 : 0)),
    bytes: all(({ bytes }) => bytes),
    tokens: total((tokens) => Math.min(tokens, limit)),
    maxTokens: sample.maxTokens,
    truncated: ofRare(
      total((tokens) => (tokens > limit ? 1 : 0)),
      rows,
      sample.texts.length,
    ),
    tokensLost: total((tokens) => Math.max(0, tokens - limit)),
    cachedShare: withText === 0 ? 0 : Math.min(1, (sample.cachedTexts ?? 0) / withText),
  };
}

/** Counted tokens as they are; else the estimate, with the factors' range around the sample's. */
function overFactors(sample: TextSample, totalAt: (bytesPerToken: number) => Estimate): Estimate {
  const { value, low, high } = BYTES_PER_TOKEN;
  const middle = totalAt(value);
  if (sample.texts.every(({ tokens }) => tokens !== undefined)) return middle;
  return {
    value: middle.value,
    low: totalAt(high).low,
    high: totalAt(low).high,
    basis: lessSure(middle.basis, 'estimated'),
  };
}

/** None in a sample is not none at all: by the rule of three up to 3 of the sample's size, at 95%. */
function ofRare(found: Estimate, rows: number, sampled: number): Estimate {
  if (found.value > 0 || found.basis === 'counted') return found;
  return { ...found, high: Math.min(rows, (3 * rows) / sampled) };
}

/** Tokens that are really sent to a service: those of texts that are in the cache are not. */
export function tokensToSend(texts: PlannedTexts): Estimate {
  return times(texts.tokens, 1 - texts.cachedShare);
}
