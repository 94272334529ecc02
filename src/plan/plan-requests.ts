import { isRemote } from '../config/provider-names.ts';
import type { MigrationDefinition, RemoteProviderName } from '../config/types.ts';
import { isOpenAi, type LargestRequest, largestRequest } from '../providers/remote/request-limits.ts';
import { type Estimate, lessSure } from './estimate.ts';
import type { PlanPace } from './inputs.ts';
import { type PlannedTexts, tokensToSend } from './plan-texts.ts';

type Endpoint = Pick<PlanPace, 'batchSize'> & { readonly remote: Pick<PlanPace['remote'], 'baseUrl'> };

function limitsOf(provider: RemoteProviderName, { batchSize, remote }: Endpoint): LargestRequest {
  const limits = largestRequest(provider, remote.baseUrl);
  return { ...limits, items: Math.min(limits.items, batchSize ?? limits.items) };
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
export function requestsFor(texts: number, tokens: number, limits: LargestRequest, windowRows: number): number {
  const count = Math.ceil(texts);
  if (count === 0) return 0;
  const perText = tokens / count;
  const ofWindow = (rows: number): number =>
    rows === 0 ? 0 : Math.max(Math.ceil(rows / limits.items), Math.ceil((rows * perText) / limits.tokens));
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
  return Math.max(1, Math.min(limits.items, pace.batchRows, byTokens));
}
