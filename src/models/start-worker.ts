import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { packageRoot } from './package-root.ts';
import type { ThreadSetup } from './worker-messages.ts';

/** Starts an inference thread from the build, or from the sources when these are what runs. */
export function startWorker(setup: ThreadSetup): Worker {
  const options = { workerData: setup, name: 'reembed inference' };
  if (!import.meta.url.endsWith('.ts')) {
    // Also from the CommonJS bundle, whose own directory has no worker.
    return new Worker(pathToFileURL(join(packageRoot(), 'dist', 'esm', 'models', 'worker.js')), options);
  }
  const source = new URL('./worker.ts', import.meta.url);
  const stripsTypes = 'typescript' in process.features && Boolean(process.features.typescript);
  return new Worker(stripsTypes ? source : throughTsx(source), options);
}

/** A thread does not inherit tsx's loader on Node 20: a small module registers it and then loads the worker. */
function throughTsx(source: URL): URL {
  const tsx = import.meta.resolve('tsx/esm/api');
  const code = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(source.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
