import migration from '../reembed.config.ts';
import { addEmbedding } from '../src/migrations/index.ts';

// Adds segments.embedding_384 with its provenance columns, the trigger and the state.
export const { up, down, config } = addEmbedding(migration);
