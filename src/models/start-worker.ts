import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { packageRoot } from './package-root.ts';
import type { ThreadSetup } from './worker-messages.ts';

/** Starts an inference thread. */
export function startWorker(setup: ThreadSetup): Worker {
  return startThread('models/worker', { workerData: setup, name: 'reembed inference' });
}

/**
 * Starts a thread from the build, or from the sources when these are what runs.
 *
 * @param module below `src`, without its ending
 */
export function startThread(module: string, options: WorkerOptions): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    // Also from the CommonJS bundle, whose own directory has no such file.
    return new Worker(pathToFileURL(join(packageRoot(), 'dist', 'esm', `${module}.js`)), options);
  }
  const source = new URL(`../${module}.ts`, import.meta.url);
  const stripsTypes = 'typescript' in process.features && Boolean(process.features.typescript);
  return new Worker(stripsTypes ? source : throughTsx(source), options);
}

/** A thread does not inherit tsx's loader on Node 20: a small module registers it and then loads the thread's. */
function throughTsx(source: URL): URL {
  const tsx = import.meta.resolve('tsx/esm/api');
  const code = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(source.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
