import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ModelReference } from '../../config/types.ts';
import { fingerprintHash } from '../../state/models.ts';
import type { Canary, ModelFingerprint } from '../types.ts';

const FILE = 'reference.json';
const FOLDER = 'vectors';

const schema = z.object({
  format: z.literal(1),
  fingerprint: z.object({
    provider: z.string(),
    name: z.string(),
    revision: z.string().nullable(),
    dimensions: z.int().positive(),
    dtype: z.string().nullable(),
    pooling: z.string().nullable(),
    normalize: z.boolean(),
    prefixes: z.object({ document: z.string(), query: z.string() }),
    files: z.record(z.string(), z.string()),
  }),
  /** Vectors as JSON numbers; null until somebody has looked. */
  canary: z.object({ texts: z.array(z.string()), vectors: z.array(z.array(z.number())) }).nullable(),
});

/** What stands beside the vectors of a model: whose they are. */
export interface Reference {
  readonly fingerprint: ModelFingerprint;
  /** What the model made of the fixed texts; undefined until it was looked at. */
  readonly canary: Canary | undefined;
}

export function cacheDirectory(cacheDir: string, fingerprint: ModelFingerprint): string {
  return join(cacheDir, FOLDER, fingerprintHash({ ...fingerprint }));
}

/** Undefined where there is none, or what is there is not understood. */
export async function readReference(directory: string): Promise<Reference | undefined> {
  try {
    const { fingerprint, canary } = schema.parse(JSON.parse(await readFile(join(directory, FILE), 'utf8')));
    if (canary === null) return { fingerprint, canary: undefined };
    return {
      fingerprint,
      canary: { texts: canary.texts, vectors: canary.vectors.map((values) => Float32Array.from(values)) },
    };
  } catch {
    return undefined;
  }
}

/** The directory was opened now: of several the newest is taken. Another process may be writing the file, so it is not written again for that. */
export async function touchReference(directory: string): Promise<void> {
  const now = new Date();
  await utimes(join(directory, FILE), now, now);
}

/** Whole or not at all, also under another process's hands. */
export async function writeReference(directory: string, { fingerprint, canary }: Reference): Promise<void> {
  const path = join(directory, FILE);
  const draft = `${path}.${randomUUID()}`;
  const plain = canary && { texts: canary.texts, vectors: canary.vectors.map((vector) => [...vector]) };
  try {
    await writeFile(draft, `${JSON.stringify({ format: 1, fingerprint, canary: plain ?? null })}\n`, { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

/**
 * The directory of a model by what the configuration knows of it: the rest of its fingerprint may be known to the service alone. Of several,
 * of revisions for example, the one that was opened last.
 */
export async function findCacheDirectory(
  cacheDir: string,
  wanted: ModelReference & { readonly revision?: string | undefined },
): Promise<{ readonly directory: string; readonly fingerprint: ModelFingerprint } | undefined> {
  const parent = join(cacheDir, FOLDER);
  const names = await readdir(parent).catch(() => []);
  let newest: { directory: string; fingerprint: ModelFingerprint; openedAt: number } | undefined;
  for (const name of names) {
    const directory = join(parent, name);
    const fingerprint = (await readReference(directory))?.fingerprint;
    if (fingerprint === undefined || !isOf(fingerprint, wanted)) continue;
    const { mtimeMs: openedAt } = await stat(join(directory, FILE));
    if (newest === undefined || openedAt > newest.openedAt) newest = { directory, fingerprint, openedAt };
  }
  return newest;
}

function isOf(
  fingerprint: ModelFingerprint,
  { provider, model, dimensions, revision }: ModelReference & { readonly revision?: string | undefined },
): boolean {
  return (
    fingerprint.provider === provider &&
    fingerprint.name === model &&
    fingerprint.dimensions === dimensions &&
    (revision === undefined || fingerprint.revision === revision)
  );
}
