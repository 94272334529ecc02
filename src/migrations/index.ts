export { addEmbedding, backfillEmbedding, dropOldEmbedding, type KnexMigration, swapEmbedding } from './factories.ts';
export { releaseStaleLock, type StaleLockOptions, type StaleLockResult } from './release-stale-lock.ts';
