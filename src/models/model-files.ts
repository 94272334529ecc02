import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Dtype } from '../config/types.ts';
import { ModelError } from '../errors.ts';
import type { GraphTask } from './graph-io.ts';
import { checkLock } from './hub/lock-file.ts';
import { type ModelManifest, readManifest, sha256OfFile, sizeOf, verifyManifest } from './manifest.ts';
import { CONFIG_FILES, chooseGraph, DTYPES, folderOf, GRAPHS, weightFiles } from './model-layout.ts';
import { packageRoot } from './package-root.ts';

export const BUNDLED_MODEL = 'sentence-transformers/all-MiniLM-L6-v2';
const BUNDLED_NAMES: readonly string[] = [BUNDLED_MODEL, 'all-MiniLM-L6-v2'];
const BUNDLED_DTYPE: Dtype = 'int8';

export interface ModelFiles {
  readonly directory: string;
  /** The published name where it is known: from the manifest, else as the user wrote it. */
  readonly name: string;
  /** Path of the ONNX file, absolute. */
  readonly graph: string;
  /** The same relative to `directory`, as in `hashes`. */
  readonly graphName: string;
  /** Bytes of the graph and of its weights where these lie in a file of their own. */
  readonly graphBytes: number;
  readonly dtype: Dtype;
  readonly manifest: ModelManifest | undefined;
  /** sha256 of each file that takes part in inference, by its name relative to `directory`. */
  readonly hashes: Readonly<Record<string, string>>;
}

/** Where models are looked up by name unless a directory is configured. */
export function defaultModelsDir(): string {
  return join(homedir(), '.cache', 'reembed', 'models');
}

export interface ResolveOptions {
  readonly dtype?: Dtype | undefined;
  readonly modelsDir?: string | undefined;
  /** A lock file that the model must agree with, where it names the model. */
  readonly modelLock?: string | undefined;
  /** What it is wanted for (`embed`): says which variable an error names. */
  readonly task?: GraphTask | undefined;
}

/**
 * Finds a model by name or directory and verifies its files before anything is loaded.
 * @param model the bundled model's name, a directory, or `<org>/<name>` below `modelsDir`.
 * @throws ModelError `model_missing`, `model_file_altered`, `dtype_missing` or `model_lock_differs`, each with the ways on.
 */
export async function resolveModelFiles(model: string, options: ResolveOptions = {}): Promise<ModelFiles> {
  const directory = await findModelDirectory(model, options);
  const manifest = await readManifest(directory);
  if (manifest !== undefined) await verifyManifest(directory, manifest);
  const { graph, dtype } = await findGraph(directory, manifest, options);
  if ((await sizeOf(join(directory, 'tokenizer.json'))) === undefined) {
    throw new ModelError('model_file_missing', `${join(directory, 'tokenizer.json')} is missing.`, {
      hint: 'Copy tokenizer.json of the model there; vocab.txt or a sentencepiece file alone is not enough.',
    });
  }
  const name = manifest?.name ?? model;
  const weights = weightFiles(graph, await namesBeside(directory, graph));
  const hashes = await hashFiles(directory, [graph, ...weights, ...CONFIG_FILES], manifest);
  if (options.modelLock !== undefined) await checkLock(options.modelLock, { name, dtype, hashes });
  return {
    directory,
    name,
    graph: join(directory, graph),
    graphName: graph,
    graphBytes: await bytesOf(directory, [graph, ...weights]),
    dtype,
    manifest,
    hashes,
  };
}

/** The files in the graph's folder, named as in `hashes`. */
async function namesBeside(directory: string, graph: string): Promise<readonly string[]> {
  const folder = folderOf(graph);
  const names = await readdir(join(directory, folder));
  return folder === '.' ? names : names.map((name) => `${folder}/${name}`);
}

async function bytesOf(directory: string, names: readonly string[]): Promise<number> {
  const sizes = await Promise.all(names.map((name) => sizeOf(join(directory, name))));
  return sizes.reduce((sum: number, size) => sum + (size ?? 0), 0);
}

/**
 * Where a model lies; nothing of it is read. The bundled model has one precision: another one of it is looked for among the downloaded
 * models first.
 * @throws ModelError `model_missing`
 */
export async function findModelDirectory(
  model: string,
  { dtype, modelsDir = defaultModelsDir(), task }: Omit<ResolveOptions, 'modelLock'> = {},
): Promise<string> {
  const bundled = BUNDLED_NAMES.includes(model) ? [join(packageRoot(), 'models', basename(BUNDLED_MODEL))] : [];
  const bundledFirst = dtype === undefined || dtype === BUNDLED_DTYPE;
  const byName = isAbsolute(model) || model.startsWith('.') ? [] : [join(modelsDir, ...model.split('/'))];
  const candidates = [...(bundledFirst ? bundled : []), resolve(model), ...byName, ...(bundledFirst ? [] : bundled)];
  for (const candidate of candidates) if (await isDirectory(candidate)) return candidate;
  throw new ModelError('model_missing', `The model ${model} is neither a directory nor under ${modelsDir}.`, {
    hint: `${isHubName(model) ? `Run "reembed model pull ${model}". ` : ''}${waysWithoutHub(byName.at(0) ?? resolve(model), task)}`,
    context: { model, looked: candidates },
  });
}

/** The three ways to a model without the Hub, where `directory` is the place in which it is looked for. */
export function waysWithoutHub(directory: string, task: GraphTask = 'embed'): string {
  if (task === 'rerank') {
    return (
      `Without a way to the Hub: copy the directory of a machine that has the model to ${directory} (or set RERANK_MODEL to ` +
      `a directory that holds onnx/model.onnx, tokenizer.json and config.json); set HF_ENDPOINT to a mirror and pull from there; ` +
      `or let a server score: RERANK_PROVIDER=tei.`
    );
  }
  return (
    `Without a way to the Hub: copy the directory of a machine that has the model to ${directory} (or set EMBEDDING_MODEL to ` +
    `a directory that holds onnx/model.onnx, tokenizer.json, config.json, modules.json …); set HF_ENDPOINT to a mirror and pull from there; ` +
    `or set EMBEDDING_MODEL to ${BUNDLED_MODEL} (bundled, 384 dimensions) or to hash/384 (a test model without meaning).`
  );
}

/** True for `<org>/<name>` as the Hub writes it. */
export function isHubName(name: string): boolean {
  return /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(name) && !/\.\.|--|\.git$|\.$/.test(name);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function findGraph(
  directory: string,
  manifest: ModelManifest | undefined,
  { dtype, task }: ResolveOptions,
): Promise<{ readonly graph: string; readonly dtype: Dtype }> {
  if (manifest !== undefined && (dtype === undefined || dtype === manifest.dtype)) {
    return { graph: manifest.graph, dtype: manifest.dtype };
  }
  const looked = (dtype === undefined ? DTYPES : [dtype]).flatMap((each) => GRAPHS[each]);
  const present: string[] = [];
  for (const name of looked) if ((await sizeOf(join(directory, name))) !== undefined) present.push(name);
  const chosen = chooseGraph(present, dtype);
  if (chosen !== undefined) return chosen;
  const message = `${directory} has no ${dtype ?? 'ONNX'} graph; looked for ${looked.join(', ')}.`;
  throw new ModelError('dtype_missing', message, {
    hint:
      manifest === undefined
        ? `Export the model to ONNX ("optimum-cli export onnx")${task === 'rerank' ? '' : ', or choose another EMBEDDING_DTYPE'}.`
        : `Set EMBEDDING_DTYPE=${manifest.dtype} or leave it unset, or run "reembed model pull ${manifest.name} --dtype ${dtype}".`,
  });
}

async function hashFiles(
  directory: string,
  names: readonly string[],
  manifest: ModelManifest | undefined,
): Promise<Readonly<Record<string, string>>> {
  const hashes: Record<string, string> = {};
  for (const name of names) {
    const known = manifest?.files[name];
    if (known !== undefined) hashes[name] = known.sha256;
    else if ((await sizeOf(join(directory, name))) !== undefined)
      hashes[name] = await sha256OfFile(join(directory, name));
  }
  return hashes;
}

/** Names under which a model may be known: as published, and the last one or two parts of its directory. */
export function namesOf(files: Pick<ModelFiles, 'name' | 'directory'>): readonly string[] {
  const last = basename(files.directory);
  return [files.name, `${basename(dirname(files.directory))}/${last}`, last];
}
