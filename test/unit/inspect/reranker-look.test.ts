import { expect, test } from 'vitest';
import { loadRuntimeSettings } from '../../../src/config/runtime.ts';
import type { Look } from '../../../src/inspect/doctor/look.ts';
import { lookAtReranker } from '../../../src/inspect/doctor/reranker.ts';
import { writeTinyCrossEncoder } from '../../helpers/tiny-cross-encoder.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

function look(env: Readonly<Record<string, string>>, probe = true): Promise<Look> {
  const runtime = loadRuntimeSettings({ EMBEDDING_DEVICE: 'cpu', EMBEDDING_THREADS: '1', ...env });
  return lookAtReranker({ runtime, signal: undefined }, probe);
}

test('doctor has the reranker read two texts where one is enabled, and warns when it cannot', async () => {
  const model = await writeTinyCrossEncoder(await temporaryDirectory());
  expect(await look({ ENABLE_RERANKER: '1', RERANK_MODEL: model })).toEqual({
    findings: [],
    detail: `${model} (fp32) reranks on cpu, 1 thread`,
  });
  expect(await look({ RERANK_MODEL: '/nonexistent' })).toMatchObject({ findings: [] });
  expect(await look({ ENABLE_RERANKER: '1' }, false)).toMatchObject({ unknown: 'it was not asked: --no-probe' });
  const missing = await look({ ENABLE_RERANKER: '1', REEMBED_MODELS_DIR: '/nonexistent' });
  expect(missing.findings).toMatchObject([
    {
      severity: 'warning',
      code: 'reranker_failed',
      message: 'The model BAAI/bge-reranker-base is neither a directory nor under /nonexistent.',
      hint: expect.stringContaining('reembed model pull BAAI/bge-reranker-base'),
    },
  ]);
});
