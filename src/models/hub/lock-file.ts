import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Dtype } from '../../config/types.ts';
import { ModelError, messageOf } from '../../errors.ts';
import { DTYPES } from '../model-layout.ts';
import { inTurn } from '../take-turn.ts';

const SHA256 = /^[0-9a-f]{64}$/;
const entrySchema = z.object({
  /** The commit that the files were of. */
  revision: z.string().min(1).nullable(),
  /** sha256 of each file that takes part in inference. */
  files: z.record(z.string(), z.string().regex(SHA256)),
});
const lockSchema = z.object({
  version: z.literal(1),
  models: z.record(z.string(), z.partialRecord(z.enum(['fp32', 'fp16', 'int8']), entrySchema)),
});

/** What a lock file holds of a model in one precision. */
export type LockedModel = Readonly<z.infer<typeof entrySchema>>;
type Locks = z.infer<typeof lockSchema>;

/** A model as it is on this machine, or as it would be. */
export interface LockCandidate {
  readonly name: string;
  readonly dtype: Dtype;
  readonly hashes: Readonly<Record<string, string>>;
}

/** The precisions in which a lock file names a model; empty where there is no such file. @throws ModelError `model_lock_invalid` */
export async function readLocked(path: string, name: string): Promise<Partial<Readonly<Record<Dtype, LockedModel>>>> {
  return (await readLocks(path)).models[name] ?? {};
}

/**
 * Compares a model with the lock file.
 * @returns false where the file does not name the model in this precision.
 * @throws ModelError `model_lock_differs` naming the first file, with the checksum that was observed and the locked one.
 */
export async function checkLock(path: string, { name, dtype, hashes }: LockCandidate): Promise<boolean> {
  const locked = (await readLocked(path, name))[dtype];
  if (locked === undefined) return false;
  const file = differingFile(locked, hashes);
  if (file === undefined) return true;
  const seen = hashes[file] === undefined ? 'is missing' : `has sha256 ${hashes[file]}`;
  const expected = locked.files[file] === undefined ? 'has no such file' : `says ${locked.files[file]}`;
  throw new ModelError('model_lock_differs', `${file} of ${name} (${dtype}) ${seen}, ${path} ${expected}.`, {
    hint:
      `Run "reembed model pull ${name} --dtype ${dtype}" to have the locked files, or accept others with ` +
      `"reembed model pull ${name} --dtype ${dtype} --update-lock"; vectors of the two must not be mixed.`,
    context: { name, dtype, file, observed: hashes[file] ?? null, expected: locked.files[file] ?? null },
  });
}

/** The first file that is not the same in both; undefined where all are. */
export function differingFile({ files }: LockedModel, hashes: LockCandidate['hashes']): string | undefined {
  return [...Object.keys(files), ...Object.keys(hashes)].find((each) => files[each] !== hashes[each]);
}

/** Locks a model, whole or not at all; the other models of the file stay as they are, those too that another pull locks meanwhile. */
export async function writeLock(path: string, candidate: LockCandidate, revision: string | null): Promise<void> {
  await inTurn(
    path,
    (reason, hint, cause) => unwritable(path, reason, hint, cause),
    () => addEntry(path, candidate, revision),
  );
}

async function addEntry(path: string, { name, dtype, hashes }: LockCandidate, revision: string | null): Promise<void> {
  const locks = await readLocks(path);
  const entry: LockedModel = { revision, files: sorted(hashes) };
  const models = { ...locks.models, [name]: inOrder({ ...locks.models[name], [dtype]: entry }) };
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, `${JSON.stringify({ version: 1, models: sorted(models) }, null, 2)}\n`);
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw unwritable(path, messageOf(cause), undefined, cause);
  }
}

function unwritable(path: string, reason: string, hint: string | undefined, cause: unknown): ModelError {
  return new ModelError('model_lock_unwritable', `Could not write ${path}: ${reason}.`, {
    hint: hint ?? 'Run the command where that file can be written: it belongs into your repository.',
    cause,
  });
}

async function readLocks(path: string): Promise<Locks> {
  let problem: string;
  try {
    const parsed = lockSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
    if (parsed.success) return parsed.data;
    problem = parsed.error.issues
      .map((issue) => `${issue.path.join('.') || 'the document'}: ${issue.message}`)
      .join('; ');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { version: 1, models: {} };
    problem = messageOf(error);
  }
  throw new ModelError('model_lock_invalid', `${path} is no lock file of models: ${problem}.`, {
    hint: 'Take it back from your repository, or delete it and run "reembed model pull" again.',
  });
}

/** By name, so that the file's differences are the model's. */
function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function inOrder(models: Partial<Record<Dtype, LockedModel>>): Partial<Record<Dtype, LockedModel>> {
  return Object.fromEntries(DTYPES.flatMap((dtype) => (models[dtype] === undefined ? [] : [[dtype, models[dtype]]])));
}
