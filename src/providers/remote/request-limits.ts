import type { RemoteProviderName } from '../../config/types.ts';

export interface LargestRequest {
  /** Texts. */
  readonly items: number;
  /** Of all texts together. */
  readonly tokens: number;
}

const NO_LIMIT = Number.POSITIVE_INFINITY;

/** As the services publish them; a server of TEI says its own, and has these unless it was started otherwise. */
const PUBLISHED: Readonly<Record<RemoteProviderName, LargestRequest>> = {
  // https://platform.openai.com/docs/api-reference/embeddings/create
  openai: { items: 2048, tokens: 300_000 },
  // https://ai.google.dev/gemini-api/docs/embeddings
  gemini: { items: 100, tokens: NO_LIMIT },
  tei: { items: 32, tokens: 16_384 },
  huggingface: { items: 32, tokens: NO_LIMIT },
};
/** For servers of one's own, which say no limits: small enough for a CPU to answer in time. */
const OWN_SERVER: LargestRequest = { items: 64, tokens: PUBLISHED.openai.tokens };

export const OPENAI_URL = 'https://api.openai.com/v1';

/** OpenAI itself, not another server that speaks its protocol: it refuses texts over the limit, which are then cut and sent again, alone. */
export function isOpenAi(provider: string, baseUrl: string | undefined): boolean {
  return provider === 'openai' && (baseUrl === undefined || baseUrl.startsWith('https://api.openai.com/'));
}

/** What `provider` takes in one request. */
export function largestRequest(provider: RemoteProviderName, baseUrl: string | undefined): LargestRequest {
  return provider === 'openai' && !isOpenAi(provider, baseUrl) ? OWN_SERVER : PUBLISHED[provider];
}
