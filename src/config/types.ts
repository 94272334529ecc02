import type { Secret } from './secret.ts';

/** A table or another named object; `schema` is undefined when the search path decides. Names are as stored, unquoted. */
export interface QualifiedName {
  readonly schema: string | undefined;
  readonly name: string;
}

export type LocalProviderName = 'local' | 'hash' | 'file';
/** Providers that are asked over the network. */
export type RemoteProviderName = 'openai' | 'huggingface' | 'tei' | 'gemini';
/** `adapted`: the model behind a projection, whose space the old vectors are mapped to instead of texts being embedded. */
export type ProviderName = LocalProviderName | RemoteProviderName | 'adapted';
export type IndexKind = 'ivfflat' | 'hnsw' | 'none';
export type Distance = 'cosine' | 'l2' | 'ip';
export type Device = 'auto' | 'cpu' | 'cuda' | 'webgpu';
export type Dtype = 'fp32' | 'fp16' | 'int8';

export interface IndexSettings {
  /** That of the old index when undefined, else IVFFlat. */
  readonly kind: IndexKind | undefined;
  /** IVFFlat: a number, `reference` for min(1000, max(100, √rows)), or `pgvector` for its own rule. */
  readonly lists: number | 'reference' | 'pgvector';
  /** HNSW. */
  readonly m: number | undefined;
  readonly efConstruction: number | undefined;
  /** `halfvec` and `binary`: the index holds the vectors smaller, and the search puts what it finds in the exact order. */
  readonly quantization: 'none' | 'halfvec' | 'binary';
  /** That of the old index when undefined, else cosine. */
  readonly distance: Distance | undefined;
}

/** A model by the names that pin it. */
export interface ModelReference {
  readonly provider: ProviderName;
  /** A hub name, `hash/<dimensions>`, a directory with a model, for `file` the path of the vectors, else the name that the service knows. */
  readonly model: string;
  readonly dimensions: number;
}

/** One migration as pinned in `reembed.config.ts`, defaults filled in. The same in every database and every year. */
export interface MigrationDefinition extends ModelReference {
  /** Names the migration in the state, the trigger and the reports: `[a-z][a-z0-9-]{0,39}`. */
  readonly id: string;
  readonly table: QualifiedName;
  /** The column whose text is embedded, or an SQL expression over columns of the row. */
  readonly text: string | { readonly expression: string };
  /** The vector column that the application uses. */
  readonly column: string;
  /** The new column until the swap; `<column>_<dimensions>` unless said otherwise. */
  readonly target: string;
  readonly revision: string | undefined;
  readonly vectorType: 'vector' | 'halfvec';
  readonly index: IndexSettings;
  readonly oldIndex: 'keep' | 'drop';
  readonly oldColumn: 'keep' | 'drop';
  /** Days for which `finalize` keeps the old column. */
  readonly retentionDays: number;
  /** `fire` lets the table's own UPDATE triggers run for every row of the backfill. */
  readonly userTriggers: 'refuse' | 'fire';
  /** Drops plain views over the column and makes them again within the exchange's transaction; without it they are refused. */
  readonly recreateViews: boolean;
  /** The old model, where it is known: fills rows without an old vector when going back. */
  readonly from: ModelReference | undefined;
}

/** How models are asked over the network: where, with which key, how much at a time and for how much money. */
export interface RemoteSettings {
  /** Without a slash at the end; the provider's own service when undefined: `EMBEDDING_BASE_URL`. */
  readonly baseUrl: string | undefined;
  /** Lets a key go over plain http to a host that is not this machine: `EMBEDDING_ALLOW_HTTP`. */
  readonly allowHttp: boolean;
  /** `any` (`EMBEDDING_API_KEY`) goes before a provider's own. */
  readonly keys: Readonly<Record<'any' | 'openai' | 'huggingface' | 'gemini', Secret | undefined>>;
  /** Where model files are downloaded from: `HF_ENDPOINT`. */
  readonly hubUrl: string;
  /** Asks models that the table does not know for the configured dimensions too (Matryoshka models on own servers). */
  readonly sendDimensions: boolean;
  /** For one request, answer included (60 s). */
  readonly requestTimeoutMs: number;
  /** For one request with all its retries (10 min). */
  readonly deadlineMs: number;
  /** Requests in flight at most (8). */
  readonly maxRequests: number;
  /** US dollars a million tokens, before what the price table says: `EMBEDDING_PRICE`. */
  readonly usdPerMillionTokens: number | undefined;
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
  /** US dollars that a migration may spend in all its runs: `REEMBED_BUDGET_USD`. */
  readonly budgetUsd: number | undefined;
  /** `auto` is on for providers that are asked over the network. */
  readonly vectorCache: 'auto' | 'on' | 'off';
  /** Batches between two looks at whether the service still runs the same model (50); 0 never looks. */
  readonly canaryBatches: number;
}

/** What the backfill watches of the database's health; `docs/neighbours.md` explains each. */
export type SignalName =
  | 'archive'
  | 'wal'
  | 'replicaLag'
  | 'replicaBytes'
  | 'slots'
  | 'vacuum'
  | 'transaction'
  | 'connections'
  | 'latency';

export interface ThrottleSettings {
  /** `REEMBED_THROTTLE`; the operator's pause and the pace hold all the same. */
  readonly enabled: boolean;
  /** Segments, bytes a second, seconds, bytes, bytes, vacuums, seconds, percent, times the usual; undefined is not watched. */
  readonly limits: Readonly<Record<SignalName, number | undefined>>;
}

/** What a migration evaluates by, where nothing is said on the command line. */
export interface EvaluationSettings {
  /** A JSONL file of `{ query, relevant, slice? }`, or a text file with a query a line: `REEMBED_QUERIES`. */
  readonly queries: string | undefined;
  /** A column whose text is asked for the row that it stands in, `text` for the first sentence: `REEMBED_KNOWN_ITEM`. */
  readonly knownItem: string | undefined;
  /** Recall@10 that may be lost, absolute (0.02): `REEMBED_TOLERANCE`. */
  readonly tolerance: number;
  /** Recall@10 that must be gained; "not worse" is asked for when undefined: `REEMBED_MIN_GAIN`. */
  readonly minGain: number | undefined;
  /** The share of rows whose change makes a stored verdict worthless (0.1): `REEMBED_VERDICT_MAX_CHANGE`. */
  readonly maxChange: number;
}

/** A cross-encoder behind the search. */
export interface RerankSettings {
  readonly enabled: boolean;
  readonly provider: 'local' | 'tei';
  /** A hub name or a directory; of `tei` only a name for reports. */
  readonly model: string;
  readonly baseUrl: string | undefined;
  /** Hits that are read by the reranker (200). */
  readonly topK: number;
  /** Hits that are returned (20). */
  readonly returnTopK: number;
  /** Pairs an inference batch at most (64). */
  readonly batchSize: number;
}

/** Maps between the spaces of two models, see `docs/adapters.md`. */
export interface AdapterSettings {
  /** The registry's directory (`projections`): `REEMBED_PROJECTIONS_DIR`. */
  readonly dir: string;
  /** The projection that 006 maps the old vectors with, or `auto` for the best that fits; embeds text when undefined: `REEMBED_ADAPTER`, `--adapter`. */
  readonly use: string | undefined;
  /** Lets `EmbeddingsService.detect` move a table by a projection that fits, with a backup: `REEMBED_AUTO_ADAPT`. */
  readonly auto: boolean;
}

/** What the building of one vector index may take from the server. */
export interface IndexBuildSettings {
  /** maintenance_work_mem of the build at most, in bytes; a quarter of effective_cache_size, 2 GB at most, when undefined: `REEMBED_BUILD_MEMORY`. */
  readonly memoryBytes: number | undefined;
  /** max_parallel_maintenance_workers of the build; the server's own when undefined: `REEMBED_BUILD_WORKERS`. */
  readonly workers: number | undefined;
}

/** How a migration runs: only from the environment, never pinned. */
export interface RuntimeSettings {
  /** `embedded` or a Postgres URL; undefined when not set. */
  readonly databaseUrl: string | undefined;
  /** A URL past a transaction-mode pooler, for what needs a session. */
  readonly directUrl: string | undefined;
  /** Where the embedded database lives: `REEMBED_DATA_DIR`, `.reembed/data`. */
  readonly dataDir: string;
  /** `REEMBED_STATE_SCHEMA`, `reembed`. */
  readonly stateSchema: string;
  readonly device: Device;
  /** Which CUDA device, counted from 0: `EMBEDDING_DEVICE_ID`. */
  readonly deviceId: number | undefined;
  /** Bytes of a device's memory that batches are planned for: `EMBEDDING_GPU_MEMORY`. */
  readonly gpuMemory: number | undefined;
  readonly dtype: Dtype | undefined;
  readonly batchSize: number | undefined;
  readonly threads: number | undefined;
  /** Rows read, embedded and written together (1000). */
  readonly batchRows: number;
  /** Bytes of text read together at most (8 MiB): `REEMBED_BATCH_BYTES`. */
  readonly batchBytes: number;
  /** Attempts a batch, the first one included (3). */
  readonly maxRetries: number;
  /** Batches that are embedded at a time (2). */
  readonly concurrency: number;
  /** Batches that are written at a time (2). */
  readonly writers: number;
  /** What a statement that writes vectors should take, in milliseconds (500); it gets fewer rows when it takes longer: `REEMBED_WRITE_TARGET`. */
  readonly writeTargetMs: number;
  /** `statement_timeout` of what writes vectors, in milliseconds (60,000): `REEMBED_STATEMENT_TIMEOUT`. */
  readonly statementTimeoutMs: number;
  /** `statement_timeout` of all else but index builds and backups, in milliseconds (an hour): `REEMBED_READ_TIMEOUT`. */
  readonly readTimeoutMs: number;
  /** The share of the time in which the backfill works, 0.01 to 1: `REEMBED_PACE`, `--pace`. */
  readonly pace: number;
  readonly throttle: ThrottleSettings;
  /** Stops resumably after so many milliseconds. */
  readonly timeLimitMs: number | undefined;
  /** Quarantined rows with which the swap still goes on (0). */
  readonly maxQuarantined: number;
  /** `auto`: before anything is dropped, into `backupDir`; `none` refuses explicitly. */
  readonly backup: 'auto' | 'none';
  readonly backupDir: string;
  readonly rollback: 'refuse' | 'accept-missing';
  /** As `recreateViews` of the definition, for one run: `REEMBED_RECREATE_VIEWS`, `--recreate-views`. */
  readonly recreateViews: boolean;
  /** Seconds without a heartbeat after which another process may take over (10): `REEMBED_LEASE_SECONDS`. */
  readonly leaseSeconds: number;
  readonly remote: RemoteSettings;
  /** What 007 does with the evaluation's verdict: `required` swaps on GO only. */
  readonly gate: 'warn' | 'required' | 'off';
  readonly evaluation: EvaluationSettings;
  readonly reranking: RerankSettings;
  readonly build: IndexBuildSettings;
  readonly adapters: AdapterSettings;
  readonly log: 'text' | 'json';
  /** Where models are looked up by name: `REEMBED_MODELS_DIR`; `~/.cache/reembed/models` when undefined. */
  readonly modelsDir: string | undefined;
  /** Locks the files of models by name and precision: `reembed.lock.json` in the working directory. */
  readonly modelLock: string;
  /** Where calibrations are kept: `REEMBED_CACHE_DIR`, `~/.cache/reembed`. */
  readonly cacheDir: string;
}
