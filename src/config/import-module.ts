import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError, messageOf, ReembedError } from '../errors.ts';

/**
 * The default export of a file, TypeScript included: by Node itself where it strips types (22.18 and 24), by a loader that
 * is already registered, or by the `tsx` of the file's own project. A CommonJS build's `{ default }` is unwrapped.
 *
 * @throws ConfigError `typescript_unsupported` with the ways on, or `config_unreadable` when the file itself fails
 */
export async function importModule(file: string): Promise<unknown> {
  try {
    return defaultExport(await importTypeScript(file));
  } catch (error) {
    if (error instanceof ReembedError) throw error;
    throw new ConfigError('config_unreadable', `${file} could not be loaded: ${messageOf(error)}`, {
      step: 'configuration',
      hint: 'Correct the file; --verbose shows where it failed.',
      cause: error,
    });
  }
}

async function importTypeScript(file: string): Promise<unknown> {
  const url = pathToFileURL(file).href;
  try {
    return await import(url);
  } catch (error) {
    if (!/^\.[cm]?ts$/.test(extname(file)) || !isTypeScriptRefusal(error)) throw error;
    if (!(await registerTsx(file))) throw typeScriptUnsupported(file, error);
    // The failed attempt stays in Node's module cache under the plain address.
    return await import(`${url}?tsx`);
  }
}

/** Node 20 refuses the extension; as CommonJS it stumbles over the first `import` or type instead. */
function isTypeScriptRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'ERR_UNKNOWN_FILE_EXTENSION') || error instanceof SyntaxError;
}

/** As `node --import tsx` would have done: for this process and all that follows, a knexfile and its migrations included. */
async function registerTsx(file: string): Promise<boolean> {
  let loader: string;
  try {
    loader = createRequire(file).resolve('tsx');
  } catch {
    return false;
  }
  await import(pathToFileURL(loader).href);
  return true;
}

function typeScriptUnsupported(file: string, cause: unknown): ConfigError {
  return new ConfigError(
    'typescript_unsupported',
    `${file} is TypeScript, which Node ${process.versions.node} does not load.`,
    {
      step: 'configuration',
      hint:
        'Use Node 22.18 or newer, or install tsx ("npm i -D tsx"), or rename the file to reembed.config.mjs ' +
        'without type annotations.',
      cause,
    },
  );
}

function defaultExport(module: unknown): unknown {
  if (typeof module !== 'object' || module === null || !('default' in module)) return undefined;
  const { default: exported } = module;
  if (typeof exported !== 'object' || exported === null || !('default' in exported)) return exported;
  return '__esModule' in exported || '__esModule' in module ? exported.default : exported;
}
