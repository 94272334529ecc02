import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { isConnectionLoss } from '../db/sqlstate.ts';
import { messageOf, ReembedError } from '../errors.ts';
import { type BackupHeader, type BackupManifest, type EncodedRows, encodeEnd, encodeHeader } from './backup-format.ts';

/** Vectors hardly compress: the fastest level saves nearly as much as the best. */
const GZIP_LEVEL = 1;
const CHUNK_BYTES = 256 * 1024;

interface Counts {
  rows: number;
  nullVectors: number;
}

/**
 * Streams rows into `<directory>/<name>` and its manifest beside it. Both appear whole or not at all: written under a temporary
 * name, flushed to the disk, then renamed. The directory is made with mode 0700 where it is missing, the files have 0600.
 *
 * @returns the manifest and the file's path
 * @throws ReembedError `backup_failed` when the file cannot be written; what was written of it is removed
 */
export async function writeBackupFile(
  directory: string,
  header: BackupHeader,
  rows: AsyncIterable<EncodedRows>,
): Promise<{ readonly path: string; readonly manifest: BackupManifest }> {
  const path = join(directory, fileName(header));
  const partial = `${path}.partial`;
  const counts: Counts = { rows: 0, nullVectors: 0 };
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { bytes, sha256 } = await writeStream(partial, encodeFile(header, rows, counts));
    const manifest: BackupManifest = { ...header, file: basename(path), ...counts, bytes, sha256 };
    await writeManifest(`${path}.json`, manifest);
    await rename(partial, path);
    await syncDirectory(directory);
    return { path, manifest };
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    await rm(`${path}.json`, { force: true }).catch(() => undefined);
    throw fileErrorCode(error) === undefined ? error : writeFailed(path, error);
  }
}

/** E.g. `public.segments.embedding-20260301T120000Z-1a2b3c.vectors.gz`. */
function fileName(header: BackupHeader): string {
  const name = [header.schema, header.table, header.column].map((part) => part.replace(/[^\p{L}\p{N}_-]/gu, '_'));
  const stamp = header.createdAt.replace(/[-:]|\.\d+/g, '');
  return `${name.join('.').slice(0, 120)}-${stamp}-${randomBytes(3).toString('hex')}.vectors.gz`;
}

/** Gathers frames into chunks: a stream that moves a few kilobytes at a time spends its time on moving. */
async function* encodeFile(
  header: BackupHeader,
  batches: AsyncIterable<EncodedRows>,
  counts: Counts,
): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [encodeHeader(header)];
  let size = 0;
  for await (const { bytes, rows, nullVectors } of batches) {
    parts.push(bytes);
    size += bytes.byteLength;
    counts.rows += rows;
    counts.nullVectors += nullVectors;
    if (size < CHUNK_BYTES) continue;
    yield Buffer.concat(parts);
    parts = [];
    size = 0;
  }
  yield Buffer.concat([...parts, encodeEnd(counts.rows)]);
}

async function writeStream(path: string, source: AsyncGenerator<Buffer>): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.byteLength;
      done(null, chunk);
    },
  });
  await pipeline(
    Readable.from(source, { objectMode: true, highWaterMark: 2 }),
    createGzip({ level: GZIP_LEVEL }),
    tap,
    createWriteStream(path, { flags: 'wx', mode: 0o600 }),
  );
  await syncFile(path);
  return { bytes, sha256: hash.digest('hex') };
}

async function writeManifest(path: string, manifest: BackupManifest): Promise<void> {
  await writeFile(path, `${JSON.stringify(manifest, undefined, 2)}\n`, { flag: 'wx', mode: 0o600 });
  await chmod(path, 0o600);
  await syncFile(path);
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The rename itself is on the disk only when the directory is; not every system lets a directory be opened. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => undefined);
  await directory?.sync().catch(() => undefined);
  await directory?.close();
}

/** The code of an error of the file system; a broken connection to the database carries a system call too and is not meant. */
function fileErrorCode(error: unknown): string | undefined {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  return typeof syscall === 'string' && typeof code === 'string' && !isConnectionLoss(error) ? code : undefined;
}

function writeFailed(path: string, cause: unknown): ReembedError {
  const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(fileErrorCode(cause) ?? '');
  return new ReembedError(
    'backup_failed',
    `Could not write the backup ${path}: ${full ? 'the disk is full' : messageOf(cause)}. Nothing was dropped; the partial file was removed.`,
    {
      step: 'backup',
      hint: full
        ? `Free space in ${dirname(path)} or set REEMBED_BACKUP to a directory with more, then run the same command again.`
        : "Correct the directory's rights or set REEMBED_BACKUP, then run the same command again.",
      cause,
    },
  );
}
