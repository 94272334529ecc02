import migration from '../reembed.config.ts';
import { backfillEmbedding } from '../src/migrations/index.ts';

// Embeds every pending row; stop it whenever you like, it goes on where it stopped.
export const { up, down, config } = backfillEmbedding(migration);
