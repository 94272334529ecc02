import type { Dtype, RemoteSettings } from '../config/types.ts';
import type { TextSource } from '../sql/text-source.ts';

/** A row of the sample. */
export interface SampledText {
  /** The page of the table that it lies in. */
  readonly page: number;
  /** This migration has embedded the row already. */
  readonly done?: boolean;
  /** UTF-8 bytes; 0 for a text that is not to be embedded (NULL, empty, blank, or done). */
  readonly bytes: number;
  /** Special tokens counted in and nothing cut; undefined where no tokenizer of the model is here. */
  readonly tokens: number | undefined;
}

/** Texts of the table, chosen at random, as `inspect` reads them. */
export interface TextSample {
  readonly texts: readonly SampledText[];
  /** What counted the tokens, e.g. `the tokenizer of BAAI/bge-small-en-v1.5`; undefined when nothing did. */
  readonly tokenizer: string | undefined;
  /** Why nothing did. */
  readonly notCounted?: string | undefined;
  /** Tokens of a text at most; undefined where it is not known. */
  readonly maxTokens: number | undefined;
  /** Sampled texts whose vectors are in the vector cache: they are not paid for again. */
  readonly cachedTexts?: number | undefined;
}

/** A part of the sample really embedded. */
export interface ProbeResult {
  readonly texts: number;
  readonly tokens: number;
  /** Undefined for a model on this machine. */
  readonly requests: number | undefined;
  readonly seconds: number;
  /** E.g. `cpu (2 threads)`. */
  readonly device: string;
}

/** What a local model takes of this machine's memory. */
export interface ModelMemory {
  /** The graph and its weights on disk. */
  readonly graphBytes: number;
  readonly dtype: Dtype;
  readonly threads: number;
  /** One inference session, activations included; an estimate. */
  readonly sessionBytes: number;
}

/** US dollars a million tokens, and who says so. */
export interface PlanPrice {
  readonly usdPerMillionTokens: number;
  /** E.g. `--price`, or the vendor's page with the month. */
  readonly source: string;
}

/** How it runs, as far as it tells in requests and time. */
export interface PlanPace {
  readonly batchRows: number;
  readonly concurrency: number;
  /** Texts a request at most, where it is set. */
  readonly batchSize: number | undefined;
  readonly remote: Pick<RemoteSettings, 'maxRequests' | 'requestsPerMinute' | 'tokensPerMinute'> &
    Partial<Pick<RemoteSettings, 'baseUrl'>>;
}

/** What the migration's runs so far have spent at services. */
export interface PlanSpent {
  readonly usd: number;
  /** Tokens whose price nobody knew when they were sent: the present one holds for them. */
  readonly unpricedTokens: number;
}

/** The projection that 006 is to map the old vectors with. */
export interface PlanAdapter {
  /** `adapted:<id>`, or `an adapter` where the run chooses. */
  readonly name: string;
  /** What it keeps, in words; undefined where nobody knows. */
  readonly quality: string | undefined;
}

/** What a plan may know beside the table; each part of it that is missing is said to be unknown. */
export interface PlanInputs {
  /** An expression as the database read it; as the configuration has it otherwise. */
  readonly text?: TextSource | undefined;
  readonly sample?: TextSample | undefined;
  readonly probe?: ProbeResult | undefined;
  readonly model?: ModelMemory | undefined;
  readonly price?: PlanPrice | undefined;
  readonly budgetUsd?: number | undefined;
  readonly spent?: PlanSpent | undefined;
  readonly pace?: PlanPace | undefined;
  /** 006 maps the old vectors with it instead of embedding the texts. */
  readonly adapter?: PlanAdapter | undefined;
  /** 007 has run already. */
  readonly swapped?: boolean | undefined;
}
