import { swapEmbedding } from 'reembed/migrations';
import migration from '../reembed.config.js';

export const { up, down, config } = swapEmbedding(migration);
