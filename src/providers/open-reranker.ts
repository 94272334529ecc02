import { openCrossEncoder } from '../models/cross-encoder.ts';
import { plural } from '../plural.ts';
import { localReranker } from './local-reranker.ts';
import { openTeiReranker } from './remote/tei-reranker.ts';
import type { Reranker } from './reranker.ts';
import type { RerankerSettings } from './reranker-settings.ts';

const MODEL = 'BAAI/bge-reranker-base';
const BATCH_SIZE = 64;

/**
 * Opens a reranker. The caller closes it.
 * @throws ModelError or ProviderError when it cannot be used; ConfigError when its URL or key cannot.
 */
export async function openReranker(settings: RerankerSettings = {}): Promise<Reranker> {
  const { provider = 'local', model = MODEL, batchSize = BATCH_SIZE, onNotice } = settings;
  if (provider === 'tei') return openTeiReranker({ ...settings, batchSize });
  const encoder = await openCrossEncoder(model, settings);
  const { files, device, threads, facts } = encoder;
  const because = facts.note === undefined ? '' : `; ${facts.note}`;
  onNotice?.(`${model} (${files.dtype}) reranks on ${device}, ${threads} ${plural(threads, 'thread')}${because}`);
  return localReranker(model, encoder, batchSize);
}
