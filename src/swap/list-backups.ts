import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { messageOf, ReembedError } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import type { SavedBackup } from '../state/records.ts';
import { findRecord } from '../state/resolve.ts';
import { BACKUP_FORMAT, type BackupManifest } from './backup-format.ts';
import { verifyBackup } from './read-backup.ts';

const DAY_MS = 86_400_000;

export interface ListedBackup {
  readonly path: string;
  readonly column: string;
  /** Which vectors of the migration these are; null where the manifest does not say. */
  readonly vectors: BackupManifest['vectors'] | null;
  readonly rows: number;
  /** ISO time of the backup. */
  readonly at: string;
  readonly ageDays: number;
  /** Of file and manifest on disk; null where the file is gone. */
  readonly bytes: number | null;
  /** `whole` only after a check of every row; `present` says that size and manifest agree. */
  readonly file: 'whole' | 'present' | 'damaged' | 'missing';
  /** What is wrong with it, where something is. */
  readonly problem: string | null;
  readonly olderThanRetention: boolean;
  /** Whether the state knows it; one of a lost state is found by its manifest. */
  readonly recorded: boolean;
}

export interface ListOptions {
  /** Compare every file with its sha256 and read every row. */
  readonly check?: boolean | undefined;
  /** Where to look besides the paths in the state; `runtime.backupDir` unless given. */
  readonly directory?: string | undefined;
}

/** The backups of a migration, oldest first: those in its state, and those whose manifest in the directory names it. Changes nothing. */
export async function listBackups(ctx: MigrationContext, options: ListOptions = {}): Promise<ListedBackup[]> {
  const recorded = (await findRecord(ctx))?.backups ?? [];
  const known = new Set(recorded.map(({ path }) => path));
  // Absolute, as the state has them: one file is one backup.
  const found = await findManifests(ctx, resolve(options.directory ?? ctx.runtime.backupDir));
  const all = [
    ...recorded.map((saved) => ({ saved, recorded: true })),
    ...found.filter(({ path }) => !known.has(path)).map((saved) => ({ saved, recorded: false })),
  ];
  const listed: ListedBackup[] = [];
  for (const { saved, recorded } of all) listed.push(await look(ctx, saved, recorded, options.check === true));
  return listed.sort((a, b) => a.at.localeCompare(b.at));
}

async function look(
  ctx: MigrationContext,
  saved: SavedBackup,
  recorded: boolean,
  check: boolean,
): Promise<ListedBackup> {
  const ageDays = Math.max(0, (Date.now() - Date.parse(saved.at)) / DAY_MS);
  const { file, problem } = await inspect(saved, check);
  return {
    path: saved.path,
    column: saved.column,
    vectors: (await manifestOf(saved.path).catch(() => undefined))?.vectors ?? null,
    rows: saved.rows,
    at: saved.at,
    ageDays: Math.floor(ageDays * 10) / 10,
    bytes: file === 'missing' ? null : (await sizeOf(saved.path)) + (await sizeOf(`${saved.path}.json`)),
    file,
    problem,
    olderThanRetention: ageDays > ctx.definition.retentionDays,
    recorded,
  };
}

async function inspect(saved: SavedBackup, check: boolean): Promise<Pick<ListedBackup, 'file' | 'problem'>> {
  const size = await stat(saved.path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) return { file: 'missing', problem: `there is no file at ${saved.path}` };
  try {
    const manifest = check ? await verifyBackup(saved.path) : await manifestOf(saved.path);
    if (manifest.sha256 !== saved.sha256)
      return damaged(`its sha256 is ${manifest.sha256}, the state says ${saved.sha256}`);
    if (manifest.bytes !== size) return damaged(`it has ${size} bytes, its manifest says ${manifest.bytes}`);
    return { file: check ? 'whole' : 'present', problem: null };
  } catch (error) {
    return damaged(error instanceof ReembedError ? error.message : `its manifest: ${messageOf(error)}`);
  }
}

function damaged(problem: string): Pick<ListedBackup, 'file' | 'problem'> {
  return { file: 'damaged', problem };
}

async function manifestOf(path: string): Promise<BackupManifest> {
  return JSON.parse(await readFile(`${path}.json`, 'utf8')) as BackupManifest;
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  );
}

/** Backups of this migration that lie in a directory, by their manifests; a file that is none of ours is passed over. */
async function findManifests(ctx: MigrationContext, directory: string): Promise<SavedBackup[]> {
  const names = await readdir(directory).catch(() => []);
  const found: SavedBackup[] = [];
  for (const name of names.filter((each) => each.endsWith('.vectors.gz.json'))) {
    const path = join(directory, basename(name, '.json'));
    const manifest = await manifestOf(path).catch(() => undefined);
    if (manifest?.format !== BACKUP_FORMAT || manifest.migration !== ctx.definition.id) continue;
    if (dirname(manifest.file) !== '.') continue;
    const { column, vectors, rows, sha256, createdAt } = manifest;
    found.push({ path, column, vectors, rows, sha256, at: createdAt });
  }
  return found;
}
