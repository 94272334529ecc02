import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a file whole or not at all, on the disk when it resolves; one that is there is exchanged. Rejects with the file system's error. */
export async function writeAtomically(path: string, content: Buffer | string): Promise<void> {
  const draft = await writeDraft(path, content);
  await place(draft, path);
}

/** A file beside `path` that is on the disk, and becomes `path` by `place`. */
export async function writeDraft(path: string, content: Buffer | string): Promise<string> {
  const draft = `${path}.${randomUUID()}.part`;
  try {
    const file = await open(draft, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    return draft;
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

export async function place(draft: string, path: string): Promise<void> {
  try {
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
  // The rename itself is on the disk only when the directory is; not every system lets a directory be opened.
  const directory = await open(dirname(path), 'r').catch(() => undefined);
  await directory?.sync().catch(() => undefined);
  await directory?.close();
}
