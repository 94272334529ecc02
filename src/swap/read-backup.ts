import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { createGunzip } from 'node:zlib';
import { IntegrityError, messageOf, PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import {
  BACKUP_FORMAT,
  BACKUP_VERSION,
  type BackupHeader,
  type BackupManifest,
  type BackupRow,
  decodeRow,
  END_MARK,
  MAGIC,
} from './backup-format.ts';

/** Far above any row: 16,000 dimensions are 64 KB. Larger numbers come from a damaged file. */
const MAX_FRAME_BYTES = 256 * 1024 * 1024;

/**
 * The manifest beside a backup.
 *
 * @param path of the backup itself, not of its manifest
 * @throws PreflightError `backup_missing` when the file or its manifest is not there, `backup_unknown` for another format or version
 */
export async function readManifest(path: string): Promise<BackupManifest> {
  const text = await readFile(`${path}.json`, 'utf8').catch((cause: unknown) => {
    throw new PreflightError('backup_missing', `There is no manifest ${path}.json beside the backup.`, {
      step: 'restore',
      hint: 'Give the path of the .vectors.gz file; "reembed status" lists the backups. The manifest must lie beside it.',
      cause,
    });
  });
  const manifest = parseManifest(path, text);
  if (manifest.format === BACKUP_FORMAT && manifest.version <= BACKUP_VERSION) return manifest;
  throw new PreflightError(
    'backup_unknown',
    `${path}.json describes format "${manifest.format}" version ${manifest.version}, this reembed reads ${BACKUP_FORMAT} up to version ${BACKUP_VERSION}.`,
    { step: 'restore', hint: 'Restore with the reembed that wrote it.' },
  );
}

function parseManifest(path: string, text: string): BackupManifest {
  try {
    return JSON.parse(text) as BackupManifest;
  } catch (cause) {
    throw damaged(path, `its manifest is not JSON (${messageOf(cause)})`, cause);
  }
}

/**
 * Checks a backup against its manifest: size, sha256, header, every row's form, their number.
 *
 * @returns the manifest
 * @throws IntegrityError `backup_damaged` naming what differs; PreflightError `backup_missing`, `backup_unknown`
 */
export async function verifyBackup(path: string): Promise<BackupManifest> {
  const manifest = await readManifest(path);
  const found = await stat(path).catch((cause: unknown) => {
    throw new PreflightError('backup_missing', `The backup ${path} does not exist; its manifest does.`, {
      step: 'restore',
      hint: 'Copy the file back beside its manifest.',
      cause,
    });
  });
  if (found.size !== manifest.bytes)
    throw damaged(path, `it has ${found.size} bytes, its manifest says ${manifest.bytes}`);
  const sha256 = await hashFile(path);
  if (sha256 !== manifest.sha256) throw damaged(path, `its sha256 is ${sha256}, its manifest says ${manifest.sha256}`);
  let rows = 0;
  for await (const batch of readBackupBatches(path, 1_000)) rows += batch.length;
  if (rows !== manifest.rows)
    throw damaged(path, `it holds ${rows} ${plural(rows, 'row')}, its manifest says ${manifest.rows}`);
  const header = await readHeader(path);
  const { file: _file, rows: _rows, nullVectors: _nulls, bytes: _bytes, sha256: _sha256, ...stated } = manifest;
  if (!isDeepStrictEqual(header, stated))
    throw damaged(path, 'its manifest describes another column or table than the file does');
  return manifest;
}

/** The header at the head of the file. */
export async function readHeader(path: string): Promise<BackupHeader> {
  const reader = openReader(path);
  try {
    return await reader.header();
  } finally {
    reader.close();
  }
}

/** The rows of a backup in the file's order, streamed. @throws IntegrityError `backup_damaged` */
export async function* readBackupRows(path: string): AsyncGenerator<BackupRow> {
  for await (const batch of readBackupBatches(path, 1_000)) yield* batch;
}

/** The same in batches of at most `size` rows. */
export async function* readBackupBatches(path: string, size: number): AsyncGenerator<BackupRow[]> {
  const reader = openReader(path);
  try {
    const header = await reader.header();
    let batch: BackupRow[] = [];
    let rows = 0;
    for (let frame = await reader.frame(); frame !== undefined; frame = await reader.frame()) {
      batch.push(decodeFrame(path, frame, header));
      rows++;
      if (batch.length < size) continue;
      yield batch;
      batch = [];
    }
    const stated = await reader.end();
    if (stated !== rows)
      throw damaged(path, `${rows} ${plural(rows, 'row was', 'rows were')} read, its end says ${stated}`);
    if (batch.length > 0) yield batch;
  } finally {
    reader.close();
  }
}

function decodeFrame(path: string, frame: Buffer, header: BackupHeader): BackupRow {
  try {
    return decodeRow(frame, header);
  } catch (cause) {
    throw damaged(path, messageOf(cause), cause);
  }
}

interface BackupReader {
  header(): Promise<BackupHeader>;
  /** The next row's frame; undefined at the end mark. */
  frame(): Promise<Buffer | undefined>;
  /** The number of rows stated behind the end mark; nothing may follow it. */
  end(): Promise<number>;
  close(): void;
}

function openReader(path: string): BackupReader {
  const file = createReadStream(path);
  const gunzip = file.pipe(createGunzip());
  file.on('error', (error) => gunzip.destroy(error));
  const chunks = gunzip[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let pending: Buffer = Buffer.alloc(0);

  const next = (): Promise<IteratorResult<Buffer>> =>
    chunks.next().catch((cause: unknown) => {
      throw damaged(path, messageOf(cause), cause);
    });

  async function take(bytes: number): Promise<Buffer> {
    const parts = [pending];
    let size = pending.byteLength;
    while (size < bytes) {
      const chunk = await next();
      if (chunk.done === true) throw damaged(path, 'it ends in the middle of a row');
      parts.push(chunk.value);
      size += chunk.value.byteLength;
    }
    const all = parts.length === 1 ? pending : Buffer.concat(parts);
    pending = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  return {
    async header() {
      if (!(await take(MAGIC.byteLength)).equals(MAGIC))
        throw damaged(path, 'it does not begin like a backup of reembed');
      const length = (await take(4)).readUInt32BE();
      return JSON.parse((await take(length)).toString('utf8')) as BackupHeader;
    },
    async frame() {
      const length = (await take(4)).readUInt32BE();
      if (length === END_MARK) return undefined;
      if (length > MAX_FRAME_BYTES) throw damaged(path, `a row claims ${length} bytes`);
      return take(length);
    },
    async end() {
      const rows = Number((await take(8)).readBigUInt64BE());
      // gzip's own checksum stands behind the last byte: it is compared only when the stream is read to its end.
      const rest = await next();
      if (pending.byteLength > 0 || rest.done !== true) throw damaged(path, 'something follows its end');
      return rows;
    },
    close() {
      file.destroy();
      gunzip.destroy();
    },
  };
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function damaged(path: string, what: string, cause?: unknown): IntegrityError {
  return new IntegrityError('backup_damaged', `The backup ${path} is damaged: ${what}. Nothing was restored from it.`, {
    step: 'restore',
    hint: 'Use another copy of the file, or an older backup; "reembed status" lists them.',
    ...(cause === undefined ? {} : { cause }),
  });
}
