import { isRemote } from '../config/provider-names.ts';
import type { MigrationDefinition, RemoteProviderName } from '../config/types.ts';
import { type Estimate, lessSure } from './estimate.ts';
import type { PlanPace } from './inputs.ts';
import { type PlannedTexts, tokensToSend } from './plan-texts.ts';

export interface RequestLimits {
  /** Texts of a request at most. */
  readonly texts: number;
  readonly tokens: number;
}

/** What the services take at once, as they publish it; a server of TEI says its own (32 texts, 16,384 tokens unless started otherwise). */
const SERVICE_LIMITS: Readonly<Record<RemoteProviderName, RequestLimits>> = {
  openai: { texts: 2048, tokens: 300_000 },
  gemini: { texts: 100, tokens: Number.POSITIVE_INFINITY },
  tei: { texts: 32, tokens: 16_384 },
  huggingface: { texts: 32, tokens: Number.POSITIVE_INFINITY },
};
/** Other servers that speak OpenAI's protocol name no limits. */
const OWN_SERVER: RequestLimits = { texts: 64, tokens: Number.POSITIVE_INFINITY };

type Endpoint = Pick<PlanPace, 'batchSize'> & { readonly remote: Pick<PlanPace['remote'], 'baseUrl'> };

function limitsOf(provider: RemoteProviderName, { batchSize, remote }: Endpoint): RequestLimits {
  const limits = provider === 'openai' && !isOpenAi(provider, remote.baseUrl) ? OWN_SERVER : SERVICE_LIMITS[provider];
  return { ...limits, texts: Math.min(limits.texts, batchSize ?? limits.texts) };
}

/** OpenAI itself, not another server that speaks its protocol: it refuses texts over the limit, which are then cut and sent again, alone. */
function isOpenAi(provider: string, baseUrl: string | undefined): boolean {
  return provider === 'openai' && (baseUrl === undefined || baseUrl.startsWith('https://api.openai.com/'));
}

/**
 * Requests to a service, without repeated ones; undefined for a model that none are sent to. A window of `batchRows` is embedded
 * by itself, so that no request holds more than its texts.
 */
export function planRequests(
  texts: PlannedTexts | undefined,
  provider: MigrationDefinition['provider'],
  pace: PlanPace,
): Estimate | undefined {
  if (texts === undefined || !isRemote(provider)) return undefined;
  const limits = limitsOf(provider, pace);
  const again = isOpenAi(provider, pace.remote.baseUrl) && texts.truncated.value > 0 ? 2 : 0;
  const sent = 1 - texts.cachedShare;
  const tokens = tokensToSend(texts);
  const at = (bound: 'value' | 'low' | 'high'): number =>
    requestsFor(texts.texts[bound] * sent, tokens[bound], limits, pace.batchRows) +
    Math.ceil(again * sent * texts.truncated[bound]);
  const basis = lessSure(texts.texts.basis, lessSure(texts.tokens.basis, 'estimated'));
  return { value: at('value'), low: at('low'), high: at('high'), basis };
}

/** Full windows, each of as many requests as its texts or its tokens need, and what is left over. */
export function requestsFor(texts: number, tokens: number, limits: RequestLimits, windowRows: number): number {
  const count = Math.ceil(texts);
  if (count === 0) return 0;
  const perText = tokens / count;
  const ofWindow = (rows: number): number =>
    rows === 0 ? 0 : Math.max(Math.ceil(rows / limits.texts), Math.ceil((rows * perText) / limits.tokens));
  return Math.floor(count / windowRows) * ofWindow(windowRows) + ofWindow(count % windowRows);
}

/** Texts of a full request, for a probe that asks as the backfill will; undefined for a model that no requests are sent to. */
export function textsPerRequest(
  provider: MigrationDefinition['provider'],
  pace: Pick<PlanPace, 'batchRows'> & Endpoint,
  tokensPerText: number,
): number | undefined {
  if (!isRemote(provider)) return undefined;
  const limits = limitsOf(provider, pace);
  const byTokens = Math.floor(limits.tokens / Math.max(1, tokensPerText));
  return Math.max(1, Math.min(limits.texts, pace.batchRows, byTokens));
}
