import { referenceVariables } from './reference-env.ts';
import { runtimeVariables } from './runtime.ts';

/** What is the machine's and the person's, whatever is migrated. */
const KEPT: ReadonlySet<string> = new Set([
  'EMBEDDING_DEVICE',
  'EMBEDDING_THREADS',
  'EMBEDDING_BATCH_SIZE',
  'REEMBED_LOG',
  'REEMBED_MODELS_DIR',
]);

/**
 * Lays `values` over the process's environment and empties every other variable of reembed, for a program that must do the same
 * thing whatever the shell or a `.env` say: the demo. Emptied ones are set, so that a `.env` read later does not bring them back.
 */
export function pinEnvironment(values: Readonly<Record<string, string>>): void {
  for (const name of [...runtimeVariables, ...referenceVariables]) if (!KEPT.has(name)) process.env[name] = '';
  Object.assign(process.env, values);
}
