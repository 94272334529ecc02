import { spawn } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');
const BINARY = join(ROOT, 'bin/reembed.mjs');

export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Runs the real binary, with nothing of this process's own settings. */
export function runCli(args: readonly string[], { cwd = ROOT, env = {} }: CliOptions = {}): Promise<CliRun> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(DATABASE_URL|REEMBED_|EMBEDDING_|NODE_OPTIONS)/.test(name),
  );
  const child = spawn(process.execPath, [BINARY, ...args], { cwd, env: { ...Object.fromEntries(kept), ...env } });
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
