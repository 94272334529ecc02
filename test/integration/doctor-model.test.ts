import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { doctor } from '../../src/inspect/doctor.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { byCode, checkNamed, examine } from '../helpers/doctor-bed.ts';
import { startScriptedServer } from '../helpers/scripted-server.ts';

const BUNDLED = { provider: 'local', model: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384 } as const;

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments, caches CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE');
  await makeSegments(chain.db, { rows: 60 });
});

describe('the model', () => {
  it('is asked for one text, and what it says of itself is compared with the configuration', async () => {
    const report = await examine(chain, { input: BUNDLED, runtime: { device: 'cpu', threads: 1 } });
    expect(checkNamed(report, 'provider')).toMatchObject({
      result: 'ok',
      detail: expect.stringContaining('384 dimensions on cpu'),
    });
    expect(checkNamed(report, 'model files')).toMatchObject({
      result: 'ok',
      detail: expect.stringContaining('as its manifest says'),
    });
    const other = await examine(chain, {
      input: { ...BUNDLED, dimensions: 512 },
      runtime: { device: 'cpu', threads: 1 },
    });
    expect(other.ok).toBe(false);
    expect(byCode(other).dimensions_differ).toMatchObject({
      message: `${BUNDLED.model} makes 384 dimensions, the configuration asks for 512.`,
      why: 'Without the model no row can be embedded.',
      hint: expect.stringContaining('EMBEDDING_DIMENSIONS'),
    });
  });

  it('with altered or missing files is not asked, and named once', async () => {
    const modelsDir = await mkdtemp(join(tmpdir(), 'reembed-doctor-'));
    try {
      const directory = join(modelsDir, 'altered');
      await cp('models/all-MiniLM-L6-v2', directory, { recursive: true });
      await writeFile(join(directory, 'config.json'), '{}');
      const altered = await examine(chain, { input: { ...BUNDLED, model: directory } });
      expect(altered.findings.filter((finding) => finding.severity === 'error')).toMatchObject([
        { code: 'model_file_altered' },
      ]);
      expect(checkNamed(altered, 'provider')).toMatchObject({
        result: 'unknown',
        detail: expect.stringContaining('not usable'),
      });
      expect(checkNamed(altered, 'text lengths').result).toBe('unknown');
      const missing = await examine(chain, { input: { provider: 'file', model: join(modelsDir, 'none.jsonl') } });
      expect(byCode(missing).vectors_missing?.message).toContain('none.jsonl cannot be read');
    } finally {
      await rm(modelsDir, { recursive: true });
    }
  });

  it('that has no vector for any text did not pass its probe', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'reembed-doctor-'));
    try {
      const model = join(directory, 'none.jsonl');
      await writeFile(model, '');
      const report = await examine(chain, { input: { provider: 'file', model } });
      expect(byCode(report).probe_failed).toMatchObject({
        severity: 'error',
        message: expect.stringContaining('none.jsonl did not embed a text on file: 0 texts with vectors'),
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('that is asked over the network and does not answer is an error, not a crash', async () => {
    const report = await examine(chain, { input: { provider: 'openai', model: 'text-embedding-3-small' } });
    expect(report.ok).toBe(false);
    expect(checkNamed(report, 'provider').result).toBe('found');
    // What its card says is known without it.
    expect(checkNamed(report, 'text lengths').detail).toContain('text-embedding-3-small reads 8191 tokens');
  });

  it('that is busy holds nobody up who wants to stop', async () => {
    const server = await startScriptedServer({ dimensions: 8 });
    const stopped = new AbortController();
    server.rule = () => {
      setImmediate(() => stopped.abort());
      return { kind: 'status', status: 429, headers: { 'retry-after': '20' } };
    };
    const remote = { ...chain.context().runtime.remote, baseUrl: server.urls.openai };
    const ctx = chain.context({ provider: 'openai', model: 'some-model', dimensions: 8 }, { remote });
    await expect(doctor({ ...ctx, signal: stopped.signal })).rejects.toMatchObject({ name: 'InterruptedError' });
    expect(server.embedded()).toHaveLength(1);
    await server.close();
  });

  it('that is another one than made the new vectors is an error', async () => {
    await expand(chain.context());
    await fill(chain.context());
    await chain.db.query(`UPDATE reembed.models SET fingerprint = fingerprint || '{"revision": "0"}'`);
    expect(byCode(await examine(chain)).model_changed).toMatchObject({
      severity: 'error',
      message: expect.stringContaining('revision is 1, was 0'),
    });
  });

  it('on a device that is not there is an error where it was asked for by name', async (test) => {
    const report = await examine(chain, { input: BUNDLED, runtime: { device: 'cuda' }, options: { probe: false } });
    if (spawnSync('nvidia-smi', ['-L']).status === 0) return test.skip('this machine has an NVIDIA GPU');
    expect(byCode(report).cuda_missing?.message).toBe(
      'EMBEDDING_DEVICE is cuda, but there is no NVIDIA device (nvidia-smi is not there).',
    );
    const auto = await examine(chain, { input: BUNDLED, options: { probe: false } });
    expect(checkNamed(auto, 'cuda')).toMatchObject({
      result: 'ok',
      detail: expect.stringContaining('the CPU is used'),
    });
  });
});
