import { addEmbedding } from 'reembed/migrations';
import migration from '../reembed.config.js';

export const { up, down, config } = addEmbedding(migration);
