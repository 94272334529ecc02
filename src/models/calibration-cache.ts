import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Calibration } from './calibration.ts';
import type { LocalModel } from './local-model.ts';
import { readMachine } from './machine.ts';

export { defaultCacheDir } from '../config/default-cache-dir.ts';

/** What a calibration holds for: with any of these different, another budget may be the best. */
export interface CalibrationKey {
  readonly cpu: string;
  readonly arch: string;
  readonly cores: number;
  readonly threads: number;
  /** With its number, and the largest batch that its memory was planned for. */
  readonly device: string;
  /** sha256 of the graph. */
  readonly graph: string;
  readonly dtype: string;
  /** Version of the runtime. */
  readonly runtime: string;
  /** Texts a batch at most, where that is limited. */
  readonly texts: number | null;
}

const measurement = z.object({
  budget: z.int().positive(),
  tokensPerSecond: z.number().positive(),
  textsPerSecond: z.number().positive(),
});
const entrySchema = z.object({
  format: z.literal(1),
  key: z.object({
    cpu: z.string(),
    arch: z.string(),
    cores: z.number(),
    threads: z.number(),
    device: z.string(),
    graph: z.string(),
    dtype: z.string(),
    runtime: z.string(),
    texts: z.number().nullable(),
  }),
  calibration: z.object({
    budget: z.int().positive(),
    measured: z.array(measurement).min(1),
    calibratedAt: z.iso.datetime(),
  }),
});

/** The key of `model` on this machine. `batchSize` limits the texts of a batch. */
export function calibrationKey(model: LocalModel, batchSize?: number): CalibrationKey {
  const { cpu, arch, cores } = readMachine();
  const { files, facts, threads, device, devicePlan } = model;
  return {
    cpu,
    arch,
    cores,
    threads,
    device: devicePlan === undefined ? device : `${device}, up to ${devicePlan.candidates.at(-1)} tokens`,
    graph: files.hashes[files.graphName] ?? '',
    dtype: files.dtype,
    runtime: facts.runtime,
    texts: batchSize ?? null,
  };
}

/**
 * What was found earlier for exactly this machine, model and runtime. A cache that is missing, unreadable or damaged
 * is an empty one: the worst that follows is a calibration.
 */
export async function readCalibration(cacheDir: string, key: CalibrationKey): Promise<Calibration | undefined> {
  try {
    const entry = entrySchema.parse(JSON.parse(await readFile(entryPath(cacheDir, key), 'utf8')));
    return canonical(entry.key) === canonical(key) ? entry.calibration : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Keeps a calibration: whole or not at all, also under another process's hands.
 * @returns false where the directory cannot be written; that is no error.
 */
export async function writeCalibration(
  cacheDir: string,
  key: CalibrationKey,
  calibration: Calibration,
): Promise<boolean> {
  const path = entryPath(cacheDir, key);
  const draft = `${path}.${randomUUID()}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(draft, `${JSON.stringify({ format: 1, key, calibration }, null, 2)}\n`);
    await rename(draft, path);
    return true;
  } catch {
    await rm(draft, { force: true }).catch(() => undefined);
    return false;
  }
}

/** One file a key, so that processes with different models never write the same one. */
function entryPath(cacheDir: string, key: CalibrationKey): string {
  const name = createHash('sha256').update(canonical(key)).digest('hex').slice(0, 20);
  return join(cacheDir, 'calibration', `${name}.json`);
}

/** The same text for the same key, whatever order its fields came in. */
function canonical(key: CalibrationKey): string {
  return JSON.stringify(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)));
}
