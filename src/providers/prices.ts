/** What a model costs, as published. */
export interface Price {
  readonly provider: string;
  readonly model: string;
  /** US dollars a million input tokens. */
  readonly usdPerMillionTokens: number;
  /** When the price was looked up, YYYY-MM. */
  readonly asOf: string;
  readonly source: string;
}

const OPENAI = 'https://platform.openai.com/docs/pricing';
const GEMINI = 'https://ai.google.dev/gemini-api/docs/pricing';

/**
 * List prices for single requests (batch jobs that are answered within a day cost half). Dated, because prices change: `EMBEDDING_PRICE`
 * and `plan --price` go before this table.
 */
export const PRICES: readonly Price[] = [
  { provider: 'openai', model: 'text-embedding-3-small', usdPerMillionTokens: 0.02, asOf: '2026-07', source: OPENAI },
  { provider: 'openai', model: 'text-embedding-3-large', usdPerMillionTokens: 0.13, asOf: '2026-05', source: OPENAI },
  { provider: 'openai', model: 'text-embedding-ada-002', usdPerMillionTokens: 0.1, asOf: '2026-05', source: OPENAI },
  { provider: 'gemini', model: 'gemini-embedding-001', usdPerMillionTokens: 0.15, asOf: '2026-04', source: GEMINI },
  { provider: 'gemini', model: 'gemini-embedding-2', usdPerMillionTokens: 0.2, asOf: '2026-04', source: GEMINI },
];

/** The published price of a model; undefined where the table does not know it. Own servers are paid for by the hour, not by the token. */
export function findPrice(provider: string, model: string): Price | undefined {
  return PRICES.find((price) => price.provider === provider && price.model === model);
}
