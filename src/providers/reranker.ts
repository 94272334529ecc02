/** Everything that makes two scores comparable. */
export interface RerankerFingerprint {
  readonly provider: 'local' | 'tei';
  /** As the user names it, e.g. `BAAI/bge-reranker-base`. */
  readonly name: string;
  readonly dtype: string | null;
  /** sha256 of each file that takes part in inference. */
  readonly files: Readonly<Record<string, string>>;
}

export interface RerankOptions {
  readonly signal?: AbortSignal | undefined;
  /** Pairs an inference batch at most. */
  readonly batchSize?: number | undefined;
}

/** Reads a query and a text together and says how well the one answers the other: slower than vectors, and better at the order. */
export interface Reranker {
  readonly model: RerankerFingerprint;
  /**
   * One finite score a text, in the order of the texts; more is more relevant. Scores of different queries need not compare.
   * @throws ModelError or ProviderError; never resolves with fewer scores than texts
   */
  score(query: string, texts: readonly string[], options?: RerankOptions): Promise<Float32Array>;
  close(): Promise<void>;
}
