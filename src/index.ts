// The public API. The three migrations for knex are in `reembed/migrations`; the CLI is not among the exports.
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
export { type DoctorCheck, type DoctorOptions, type DoctorReport, doctor } from './inspect/doctor.ts';
export { readFacts, type TableFacts } from './inspect/facts.ts';
export type { Finding } from './inspect/finding.ts';
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
export { EmbeddingsService, type EmbeddingsSettings, type EncodeOptions } from './providers/embeddings-service.ts';
export type { ProviderOptions } from './providers/provider-options.ts';
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
export { type SearchOptions, type SearchResult, searchTable } from './search/search.ts';
export { transactionsOf } from './search/transactions-of.ts';
export type { MigrationContext } from './state/context.ts';
export type { SavedBackup } from './state/records.ts';
export type { ThrottleLook } from './state/throttle-look.ts';
export { type CutOverResult, cutOver } from './steps/cut-over.ts';
export { type ExpandResult, expand } from './steps/expand.ts';
export { type FillOptions, type FillResult, fill } from './steps/fill.ts';
export { type BackupOptions, backup, type FinalizeResult, finalize } from './steps/finalize.ts';
export { type InitOptions, type InitPlace, type InitResult, init } from './steps/init/init.ts';
export { initReverse, type ReverseOptions } from './steps/init/init-reverse.ts';
export { type OpenedMigration, type OpenMigrationOptions, openMigration } from './steps/open-migration.ts';
export { type PauseResult, pause, type ResumeResult, resume } from './steps/pause.ts';
export { type PlanMigrationOptions, planMigration } from './steps/plan-migration.ts';
export { type RestoreOptions, type RestoreResult, restore } from './steps/restore.ts';
export { sync } from './steps/sync.ts';
export type { SyncOptions, SyncResult } from './steps/sync-run.ts';
export { type TuneOptions, type TuneResult, tune } from './steps/tune.ts';
export { type TuneBuildOptions, type TuneBuildResult, tuneBuild } from './steps/tune-build.ts';
export { type RebuildOptions, type RebuildResult, rebuildTunedIndex } from './steps/tune-rebuild.ts';
export { type UndoCutOverResult, undoCutOver } from './steps/undo-cut-over.ts';
export { undoExpand } from './steps/undo-expand.ts';
export { undoFill } from './steps/undo-fill.ts';
export { type ListedBackup, listBackups } from './swap/list-backups.ts';
export { type PruneResult, pruneBackups } from './swap/prune-backups.ts';
export { verifyBackup } from './swap/read-backup.ts';
