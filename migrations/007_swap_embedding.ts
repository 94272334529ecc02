import migration from '../reembed.config.ts';
import { swapEmbedding } from '../src/migrations/index.ts';

// Builds the index and exchanges the columns in one short transaction.
export const { up, down, config } = swapEmbedding(migration);
