import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { ModelError } from '../errors.ts';
import { readJsonFile } from './json-file.ts';
import { isInside } from './model-layout.ts';

const GRAPH_OPTIMIZATION = ['disabled', 'basic', 'extended', 'layout', 'all'] as const;

const fileName = z.string().refine(isInside, "expected a file inside the model's directory");

const manifestSchema = z.object({
  name: z.string().min(1),
  /** An embedding model where it is not said. */
  kind: z.enum(['embedding', 'reranker']).optional(),
  revision: z.string().min(1).nullable(),
  license: z.string().min(1),
  /** Null where the files that were published do not say it, and of rerankers, which make no vectors. */
  dimensions: z.int().positive().nullable(),
  dtype: z.enum(['fp32', 'fp16', 'int8']),
  /** The ONNX file, relative to the model's directory. */
  graph: fileName,
  /** The graph's output to read. */
  output: z.string().min(1).optional(),
  session: z.object({ graphOptimizationLevel: z.enum(GRAPH_OPTIMIZATION) }).optional(),
  files: z.record(fileName, z.object({ bytes: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
});

/** What a model's `manifest.json` promises about the files beside it. */
export type ModelManifest = Readonly<z.infer<typeof manifestSchema>>;
export type GraphOptimization = (typeof GRAPH_OPTIMIZATION)[number];

/**
 * Reads `manifest.json`; undefined where the directory has none, as with models copied straight from the hub.
 * @throws ModelError when it is not a manifest.
 */
export async function readManifest(directory: string): Promise<ModelManifest | undefined> {
  return readJsonFile(directory, 'manifest.json', manifestSchema);
}

/**
 * Compares size and sha256 of every file with the manifest, so that nothing half-copied or altered is ever loaded.
 * @throws ModelError naming the first file that differs, with what was observed and what was expected.
 */
export async function verifyManifest(directory: string, manifest: ModelManifest): Promise<void> {
  for (const [name, expected] of Object.entries(manifest.files)) {
    const path = join(directory, name);
    const bytes = await sizeOf(path);
    if (bytes === undefined) throw altered(manifest, `${path} is missing`, { path });
    if (bytes !== expected.bytes) {
      throw altered(manifest, `${path} has ${bytes} bytes, its manifest says ${expected.bytes}`, { path, bytes });
    }
    const sha256 = await sha256OfFile(path);
    if (sha256 !== expected.sha256) {
      throw altered(manifest, `${path} has sha256 ${sha256}, its manifest says ${expected.sha256}`, { path, sha256 });
    }
  }
}

/** sha256 of a file's bytes in hexadecimal, read as a stream. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Bytes of a file; undefined where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const entry = await stat(path);
    return entry.isFile() ? entry.size : undefined;
  } catch {
    return undefined;
  }
}

function altered(manifest: ModelManifest, what: string, context: Readonly<Record<string, unknown>>): ModelError {
  const pulled = /^[0-9a-f]{40,64}$/.test(manifest.revision ?? '');
  return new ModelError('model_file_altered', `${what}: the model ${manifest.name} was not loaded.`, {
    hint: pulled
      ? `Run "reembed model pull ${manifest.name}": it brings what differs, and nothing else.`
      : 'Copy the model again, or for the bundled one install reembed again ("npm ci"; in a clone "git checkout -- models").',
    context,
  });
}
