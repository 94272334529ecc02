// The public API. The three migrations for knex are in `reembed/migrations`; the CLI is not among the exports.
export { type Adapter, type MappedVectors, openAdapter } from './adapters/apply.ts';
export {
  chooseProjection,
  type ProjectionChain,
  type ProjectionChoice,
  type ProjectionWish,
} from './adapters/choose.ts';
export type { NewEntry } from './adapters/entry-schema.ts';
export { type HeldOut, type HeldOutQueries, measureProjection } from './adapters/measure.ts';
export { type LoadedProjection, openRegistry, type Registry } from './adapters/registry.ts';
export type { WantedSpace } from './adapters/same-space.ts';
export type {
  Matrix,
  Projection,
  ProjectionDirection,
  ProjectionEntry,
  ProjectionKind,
  ProjectionLayer,
  ProjectionMetrics,
  ProjectionSpace,
} from './adapters/types.ts';
export { type BenchOptions, bench } from './bench/bench.ts';
export type { BenchResult } from './bench/types.ts';
export { defineMigration, type MigrationInput } from './config/define-migration.ts';
export { type LoadedConfig, loadConfig } from './config/load-config.ts';
export { loadRuntimeSettings } from './config/runtime.ts';
export type { MigrationDefinition, ModelReference, RuntimeSettings } from './config/types.ts';
export { connectDatabase } from './db/connect.ts';
export { type EmbeddedOptions, startEmbedded } from './db/embedded.ts';
export type { ConnectionSettings, Database, EmbeddedServer, Queryable } from './db/types.ts';
export * from './errors.ts';
export { runChecks } from './evaluate/checks/run-checks.ts';
export type { CheckOptions } from './evaluate/checks/types.ts';
export type { QuerySource } from './evaluate/load-queries.ts';
export type { EvaluationQuery } from './evaluate/queries/types.ts';
export { reportShadow, type ShadowReportOptions } from './evaluate/shadow/report-shadow.ts';
export type { ShadowReport } from './evaluate/shadow/types.ts';
export type { EvaluationCheck, EvaluationResult, Verdict } from './evaluate/types.ts';
export { type DoctorCheck, type DoctorOptions, type DoctorReport, doctor } from './inspect/doctor.ts';
export { readFacts, type TableFacts } from './inspect/facts.ts';
export type { Finding } from './inspect/finding.ts';
export { type KeywordStatus, readKeywordStatus } from './inspect/keyword-status.ts';
export { type DependentsReport, listDependents } from './inspect/list-dependents.ts';
export { type PreflightReport, preflight } from './inspect/preflight.ts';
export { readStatus, type Status } from './inspect/status.ts';
export { type VerifyOptions, type VerifyReport, verify } from './inspect/verify.ts';
export { type PulledModel, pullModel } from './models/hub/pull-model.ts';
export type { PullModelOptions } from './models/hub/pull-request.ts';
export type { Estimate } from './plan/estimate.ts';
export type { PlanFacts } from './plan/facts.ts';
export type { PlanInputs, ProbeResult, TextSample } from './plan/inputs.ts';
export { makePlan } from './plan/make-plan.ts';
export { type RoiInput, type RoiReport, reckonRoi } from './plan/roi.ts';
export type { MigrationPlan } from './plan/types.ts';
export type { OnProgress, ProgressEvent } from './progress.ts';
export { createProvider } from './providers/create-provider.ts';
export { openReranker } from './providers/open-reranker.ts';
export type { ProviderOptions } from './providers/provider-options.ts';
export { type RankedText, rankScores } from './providers/rank-scores.ts';
export type { Reranker, RerankerFingerprint, RerankOptions } from './providers/reranker.ts';
export { type RerankerSettings, rerankerSettings } from './providers/reranker-settings.ts';
export type {
  EmbeddingProvider,
  EmbedOptions,
  EmbedResult,
  ModelFingerprint,
  ProviderHealth,
} from './providers/types.ts';
export {
  type ActiveModel,
  type ActiveModelOptions,
  type NamedEncoder,
  withActiveModel,
} from './search/active-model.ts';
export { adaptedEncoder, type VectorAdapter } from './search/adapted-encoder.ts';
export { createSearch } from './search/client/create-search.ts';
export type {
  Filter,
  KnexTransactions,
  LazyEncoder,
  QueryOptions,
  SearchAnswer,
  SearchClient,
  SearchClientHit,
  SearchClientOptions,
  SearchMode,
  Served,
} from './search/client/types.ts';
export { type Keyword, type OpenKeywordOptions, openKeyword } from './search/keyword/open-keyword.ts';
export type { KeywordHit, KeywordResult, KeywordSearch, KeywordSearchOptions } from './search/keyword/types.ts';
export { openQueryAdapter, type QueryAdapterOptions } from './search/open-query-adapter.ts';
export { type RerankedHit, type RerankHitsOptions, rerankHits } from './search/rerank.ts';
export { type SearchOptions, type SearchResult, searchTable } from './search/search.ts';
export { createShadow } from './search/shadow/create-shadow.ts';
export type { ServedSearch, Shadow, ShadowOptions, ShadowSettings } from './search/shadow/types.ts';
export { transactionsOf } from './search/transactions-of.ts';
export { type KnexLike, transactionsOfKnex } from './search/transactions-of-knex.ts';
export type { DetectOptions, DetectResult } from './service/detect.ts';
export {
  EmbeddingsService,
  type EmbeddingsSettings,
  type EncodeOptions,
  type RerankTextsOptions,
} from './service/embeddings-service.ts';
export { type SqlFragment, where } from './sql/filter.ts';
export type { MigrationContext } from './state/context.ts';
export type { SavedBackup } from './state/records.ts';
export type { ThrottleLook } from './state/throttle-look.ts';
export type { TrainAdapterOptions, TrainChoices, TrainedAdapter } from './steps/adapter/types.ts';
export {
  type ComposedAdapter,
  type ComposeOnTextsOptions,
  type ComposeOptions,
  composeOnTable,
  composeOnTexts,
  composeUnmeasured,
} from './steps/compose-adapters.ts';
export { type CutOverResult, cutOver } from './steps/cut-over.ts';
export { type EvaluateOptions, evaluate } from './steps/evaluate.ts';
export { type ExpandResult, expand } from './steps/expand.ts';
export { type FillOptions, type FillResult, fill } from './steps/fill.ts';
export { type BackupOptions, backup, type FinalizeResult, finalize } from './steps/finalize.ts';
export { type InitOptions, type InitPlace, type InitResult, init } from './steps/init/init.ts';
export { initReverse, type ReverseOptions } from './steps/init/init-reverse.ts';
export { buildKeyword, type KeywordBuildOptions, type KeywordBuildResult } from './steps/keyword-build.ts';
export { dropKeyword, type KeywordDropResult } from './steps/keyword-drop.ts';
export { refreshKeyword } from './steps/keyword-refresh.ts';
export {
  type MigratedWithAdapter,
  type MigrateWithAdapterOptions,
  migrateWithAdapter,
} from './steps/migrate-with-adapter.ts';
export { type MonitorOptions, monitor } from './steps/monitor.ts';
export { type OpenedMigration, type OpenMigrationOptions, openMigration } from './steps/open-migration.ts';
export { type PauseResult, pause, type ResumeResult, resume } from './steps/pause.ts';
export { type PlanMigrationOptions, planMigration } from './steps/plan-migration.ts';
export { type RestoreOptions, type RestoreResult, restore } from './steps/restore.ts';
export { type RouteResult, readRoute, setRoute } from './steps/route.ts';
export { sync } from './steps/sync.ts';
export type { SyncOptions, SyncResult } from './steps/sync-run.ts';
export { trainAdapter } from './steps/train-adapter.ts';
export { type TrainFromTextsOptions, trainAdapterFromTexts } from './steps/train-adapter-from-texts.ts';
export { type TuneOptions, type TuneResult, tune } from './steps/tune.ts';
export { type TuneBuildOptions, type TuneBuildResult, tuneBuild } from './steps/tune-build.ts';
export { type RebuildOptions, type RebuildResult, rebuildTunedIndex } from './steps/tune-rebuild.ts';
export { type UndoCutOverResult, undoCutOver } from './steps/undo-cut-over.ts';
export { undoExpand } from './steps/undo-expand.ts';
export { undoFill } from './steps/undo-fill.ts';
export { type ListedBackup, listBackups } from './swap/list-backups.ts';
export { type PruneResult, pruneBackups } from './swap/prune-backups.ts';
export { verifyBackup } from './swap/read-backup.ts';
