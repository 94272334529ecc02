import { mkdir, statfs } from 'node:fs/promises';
import { bytes } from '../../bytes.ts';
import { ModelError, messageOf } from '../../errors.ts';

/**
 * Refuses a download that does not fit, before its first byte, where the file system tells what is free.
 * @param needed bytes that are still to be written into `directory`.
 * @throws ModelError `disk_full`
 */
export async function assertSpace(directory: string, needed: number): Promise<void> {
  const free = await statfs(directory).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => Number.POSITIVE_INFINITY,
  );
  if (needed <= free) return;
  throw new ModelError('disk_full', `${bytes(needed)} are to be downloaded, ${directory} has ${bytes(free)} free.`, {
    hint: 'Free space there, or set REEMBED_MODELS_DIR to a directory with more, and run the same command again.',
    context: { directory, needed, free },
  });
}

/** Makes a directory, as far as it is not there. @throws ModelError `download_unwritable`, `disk_full` */
export async function makeDirectory(name: string, directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (cause) {
    throw explainWriteFailure(name, directory, cause);
  }
}

/** What a failed write means: the part that was written stays, so that no byte is downloaded twice. */
export function explainWriteFailure(name: string, directory: string, cause: unknown): ModelError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') {
    return new ModelError('download_unwritable', `Could not write ${name} in ${directory}: ${messageOf(cause)}.`, {
      hint: "Correct the directory's rights or set REEMBED_MODELS_DIR, and run the same command again.",
      cause,
    });
  }
  return new ModelError(
    'disk_full',
    `Could not write ${name} in ${directory}: the disk is full; what came so far is kept.`,
    {
      hint: `Free space there and run the same command again: it goes on where it stopped. Or delete ${directory}.`,
      cause,
    },
  );
}
