import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { EmbeddingsService } from '../../src/index.ts';
import { startHubServer } from '../helpers/hub-server.ts';
import { goldenTexts } from '../unit/models/golden.ts';
import { BINARY, cliEnvironment, ROOT, runCli } from './run-cli.ts';

const NAME = 'acme/minilm';
const COMMIT = 'c'.repeat(40);
const bundled = join(ROOT, 'models/all-MiniLM-L6-v2');
const hub = await startHubServer();
const cwd = await mkdtemp(join(tmpdir(), 'reembed-pull-'));
afterAll(async () => {
  await hub.close();
  await rm(cwd, { recursive: true, force: true });
});

const modelsDir = join(cwd, 'models');
const env = { REEMBED_MODELS_DIR: modelsDir, HF_ENDPOINT: hub.url, HF_TOKEN: undefined, EMBEDDING_THREADS: '1' };

async function publishBundledModel(): Promise<void> {
  const names = await readdir(bundled, { recursive: true });
  const files: Record<string, Buffer> = {};
  for (const name of names) {
    const path = join(bundled, name);
    if (name !== 'manifest.json' && (await stat(path)).isFile())
      files[name.replaceAll('\\', '/')] = await readFile(path);
  }
  hub.repositories.set(NAME, { commit: COMMIT, files, license: 'apache-2.0' });
}

/** Waits until the graph has come in part, and gives its bytes. */
async function partOfGraph(): Promise<number> {
  for (;;) {
    const downloads = join(modelsDir, '.downloads', NAME);
    const part = (await readdir(downloads).catch(() => [])).find((name) => name.startsWith('onnx__'));
    const size = part === undefined ? 0 : (await stat(join(downloads, part))).size;
    if (size > 1_000_000) return size;
    await sleep(20);
  }
}

test('a pull that is killed is resumed, locked, and its model embeds; other files are refused from then on', async () => {
  await publishBundledModel();
  const missing = await runCli(['model', 'path', NAME], { cwd, env });
  expect([missing.code, missing.stdout]).toEqual([1, '']);
  expect(missing.stderr).toContain(`Run "reembed model pull ${NAME}".`);

  hub.faults.hangAfter = 5_000_000;
  const killed = spawn(process.execPath, [BINARY, 'model', 'pull', NAME], { cwd, env: cliEnvironment(env) });
  await partOfGraph();
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  expect(await readdir(modelsDir)).toEqual(['.downloads']);

  const interrupted = spawn(process.execPath, [BINARY, 'model', 'pull', NAME], { cwd, env: cliEnvironment(env) });
  while (hub.requests.filter(({ range }) => range !== undefined).length === 0) await sleep(20);
  await sleep(100);
  interrupted.kill('SIGINT');
  expect(await once(interrupted, 'exit')).toEqual([130, null]);

  hub.faults.hangAfter = undefined;
  hub.requests.length = 0;
  const pulled = await runCli(['model', 'pull', NAME, '--json'], { cwd, env });
  expect(pulled.stderr).toContain(`${NAME} (int8) at ${COMMIT}, licence apache-2.0`);
  expect(JSON.parse(pulled.stdout)).toMatchObject({ name: NAME, dtype: 'int8', result: 'downloaded', lock: 'written' });
  const large = hub.requests.filter(({ server }) => server === 'cdn');
  expect(large.map(({ range }) => range)).toEqual([expect.stringMatching(/^bytes=\d{7,}-$/)]);
  expect(await readdir(modelsDir)).toEqual(['acme']);

  const path = await runCli(['model', 'path', NAME], { cwd, env });
  expect([path.code, path.stdout]).toEqual([0, `${join(modelsDir, NAME)}\n`]);
  const verified = await runCli(['model', 'verify', NAME], { cwd, env });
  expect(verified.stdout).toContain('every file is as in its manifest and as locked');

  const service = await EmbeddingsService.init({
    model: { provider: 'local', model: NAME, dimensions: 384, revision: COMMIT },
    modelsDir,
    modelLock: join(cwd, 'reembed.lock.json'),
    threads: 1,
  });
  const golden = goldenTexts().slice(0, 4);
  const vectors = await service.encodeTexts(golden.map(({ text }) => text));
  await service.close();
  golden.forEach(({ embedding }, i) => {
    const cosine = embedding.reduce((sum, value, k) => sum + value * (vectors[i]?.[k] ?? 0), 0);
    expect(cosine).toBeGreaterThan(0.96);
  });

  const published = hub.repositories.get(NAME);
  hub.repositories.set(NAME, { commit: 'd'.repeat(40), files: { ...published?.files, 'config.json': '{}' } });
  const other = await runCli(['model', 'pull', NAME, '--revision', 'main'], { cwd, env });
  expect(other.code).toBe(1);
  expect(other.stderr).toMatch(
    /config\.json of acme\/minilm \(int8\) has sha256 [0-9a-f]{64}, .*reembed\.lock\.json says/,
  );
  expect(other.stderr).toContain('--update-lock');
});
