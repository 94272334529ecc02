import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const root = join(import.meta.dirname, '../..');

function must(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', env: consumerEnvironment() });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
}

/** A consumer's shell knows nothing of this repository's npm settings, the tsx loader above all. */
export function consumerEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => name !== 'NODE_OPTIONS' && name !== 'DATABASE_URL' && !/^(npm_|VITEST|EMBEDDING_|REEMBED_)/.test(name),
  );
  return { ...Object.fromEntries(kept), ...extra };
}

/** The package as for a release, which `npm pack` builds first. @returns the tarball, alone in a directory; a copy of what the gate has packed already */
export function packTarball(): string {
  const directory = mkdtempSync(join(tmpdir(), 'reembed-tarball-'));
  const packed = process.env.REEMBED_TEST_TARBALL;
  if (packed === undefined) must('npm', ['pack', '--pack-destination', directory], root);
  else copyFileSync(packed, join(directory, basename(packed)));
  const [name] = readdirSync(directory).filter((file) => file.endsWith('.tgz'));
  if (name === undefined) throw new Error('npm pack made no tarball');
  return join(directory, name);
}

/** A project of its own with the tarball and a consumer's packages installed. */
export function createConsumer(tarball: string, files: Readonly<Record<string, string>>, template?: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'reembed-consumer-'));
  if (template !== undefined) cpSync(join(root, template), directory, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  // onnxruntime-node's script downloads CUDA libraries.
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  must('npm', ['install', tarball, 'knex@3', 'pg@8', 'onnxruntime-node@1.30', ...flags], directory);
  return directory;
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command there without blocking this process, which may serve its database. */
export function runThere(directory: string, command: string, args: readonly string[], env = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: directory, env: consumerEnvironment(env), stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdin.end();
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
