import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AdapterError, messageOf } from '../errors.ts';
import { inTurn } from '../models/take-turn.ts';
import type { DescribedEntry, NewEntry } from './entry-schema.ts';
import { decodeProjection, encodeProjection, type ReadProjection } from './projection-file.ts';
import { projectionId, uniqueId } from './projection-id.ts';
import { readRegistry, registryText } from './registry-file.ts';
import type { Projection, ProjectionEntry } from './types.ts';
import { place, writeAtomically, writeDraft } from './write-atomically.ts';

/** Far above what the widest column needs, far below what a process cannot read at once. */
const MAX_FILE_BYTES = 2 ** 30;

/** A projection that was loaded and found to be the one that was registered. */
export type LoadedProjection = ReadProjection;

/** The projections of one directory: `registry.json`, and one safetensors file each. */
export interface Registry {
  readonly dir: string;
  /** By id. @throws AdapterError `registry_invalid`, `registry_newer` */
  list(): Promise<readonly ProjectionEntry[]>;
  /** @throws AdapterError `projection_unknown` naming those that are there */
  get(id: string): Promise<ProjectionEntry>;
  /** With its sum checked. @throws AdapterError `projection_missing`, `projection_changed`, and as `get` */
  load(id: string): Promise<LoadedProjection>;
  /** Under a name of its own, also when several processes add at once. @throws AdapterError `projection_invalid`, `registry_unwritable` */
  add(entry: NewEntry, projection: Projection): Promise<ProjectionEntry>;
  remove(id: string): Promise<ProjectionEntry>;
  /** Writes one file that `importFrom` takes elsewhere: `path`, or in it where it is a directory. @returns its path */
  exportTo(id: string, path: string): Promise<string>;
  /** Adds what an export has written; nothing where it is here already. @throws AdapterError as `decodeProjection` */
  importFrom(path: string): Promise<{ readonly entry: ProjectionEntry; readonly added: boolean }>;
}

/** The registry in `dir`, which need not exist before something is added. Nothing is read yet, and nothing has to be closed. */
export function openRegistry(dir: string): Registry {
  const path = join(dir, 'registry.json');
  const list = (): Promise<readonly ProjectionEntry[]> => readRegistry(path);
  const get = async (id: string): Promise<ProjectionEntry> => find(await list(), id, dir);
  const add = (entry: NewEntry, projection: Projection): Promise<ProjectionEntry> =>
    addEntry(dir, path, entry, projection);
  return {
    dir,
    list,
    get,
    add,
    load: async (id) => loadEntry(dir, await get(id)),
    remove: (id) => removeEntry(dir, path, id),
    async exportTo(id, target) {
      const entry = await get(id);
      return writeExport(target, entry, await readChecked(dir, entry));
    },
    async importFrom(source) {
      const read = decodeProjection(await readWhole(source), source);
      const present = findSame(await list(), read);
      if (present !== undefined) return { entry: present, added: false };
      return { entry: await add(read.entry, read.projection), added: true };
    },
  };
}

/** The entry that this projection has here already, be it under another id. */
function findSame(
  entries: readonly ProjectionEntry[],
  { entry, projection }: ReadProjection<DescribedEntry>,
): ProjectionEntry | undefined {
  return entries.find(
    ({ id, createdAt, sha256 }) =>
      createdAt === entry.createdAt && sha256 === sha256Of(encodeProjection({ ...entry, id }, projection)),
  );
}

/** The file comes first and the registry second: a process that dies in between leaves a file that nobody names, and the next one writes over it. */
async function addEntry(
  dir: string,
  path: string,
  { file: _file, sha256: _sum, ...given }: NewEntry & Partial<ProjectionEntry>,
  projection: Projection,
): Promise<ProjectionEntry> {
  const wanted = given.id ?? projectionId(given);
  const createdAt = given.createdAt ?? new Date().toISOString();
  await mkdir(dir, { recursive: true }).catch((cause: unknown) => {
    throw unwritable(dir, messageOf(cause), undefined, cause);
  });
  for (;;) {
    const id = uniqueId(wanted, idsOf(await readRegistry(path)));
    const described: DescribedEntry = { ...given, id, createdAt };
    const bytes = encodeProjection(described, projection);
    const entry: ProjectionEntry = { ...described, file: `${id}.safetensors`, sha256: sha256Of(bytes) };
    const file = join(dir, entry.file);
    // Written before the turn begins, which is to be short: big files take their time to reach the disk.
    const draft = await writeDraft(file, bytes).catch((cause: unknown) => {
      throw unwritable(file, messageOf(cause), undefined, cause);
    });
    try {
      const isAdded = await changeRegistry(path, async (entries) => {
        if (idsOf(entries).has(id)) return undefined;
        await place(draft, file);
        return [...entries, entry];
      });
      if (isAdded) return entry;
    } finally {
      await rm(draft, { force: true }).catch(() => undefined);
    }
  }
}

async function removeEntry(dir: string, path: string, id: string): Promise<ProjectionEntry> {
  let removed: ProjectionEntry | undefined;
  await changeRegistry(path, async (entries) => {
    const entry = find(entries, id, dir);
    removed = entry;
    return entries.filter((each) => each !== entry);
  });
  const entry = removed ?? find([], id, dir);
  await rm(join(dir, entry.file), { force: true });
  return entry;
}

/** Reads, changes and writes while nobody else does. @returns false where `change` had nothing to write. */
async function changeRegistry(
  path: string,
  change: (entries: readonly ProjectionEntry[]) => Promise<readonly ProjectionEntry[] | undefined>,
): Promise<boolean> {
  const failure = (reason: string, hint: string | undefined, cause?: unknown): AdapterError =>
    unwritable(path, reason, hint, cause);
  return inTurn(path, failure, async () => {
    const changed = await change(await readRegistry(path));
    if (changed === undefined) return false;
    await writeAtomically(path, registryText(changed)).catch((cause: unknown) => {
      throw unwritable(path, messageOf(cause), undefined, cause);
    });
    return true;
  });
}

async function loadEntry(dir: string, entry: ProjectionEntry): Promise<LoadedProjection> {
  const { projection } = decodeProjection(await readChecked(dir, entry), join(dir, entry.file));
  return { entry, projection };
}

async function readChecked(dir: string, entry: ProjectionEntry): Promise<Buffer> {
  const file = join(dir, entry.file);
  const bytes = await readWhole(file);
  const observed = sha256Of(bytes);
  if (observed === entry.sha256) return bytes;
  throw new AdapterError(
    'projection_changed',
    `${file} has sha256 ${observed}, the registry says ${entry.sha256}: it is not the projection ${entry.id} that was measured.`,
    {
      step: 'adapter',
      hint: `Put the file back from your repository or an export, or give it up with "reembed adapter remove ${entry.id}" and train it anew.`,
      context: { id: entry.id, file, observed, expected: entry.sha256 },
    },
  );
}

async function readWhole(file: string): Promise<Buffer> {
  try {
    const facts = await stat(file);
    if (!facts.isFile()) throw unreadable(file, 'it is not a file');
    if (facts.size > MAX_FILE_BYTES) {
      throw unreadable(file, `it has ${facts.size} bytes, at most ${MAX_FILE_BYTES} are read`);
    }
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof AdapterError) throw cause;
    throw unreadable(file, messageOf(cause), cause);
  }
}

async function writeExport(target: string, entry: ProjectionEntry, bytes: Buffer): Promise<string> {
  const facts = await lstat(target).catch(() => undefined);
  const path = facts?.isDirectory() === true ? join(target, entry.file) : target;
  if (path !== target ? await isThere(path) : facts !== undefined) {
    throw new AdapterError('export_exists', `${path} is there already; an export writes over nothing.`, {
      step: 'adapter',
      hint: 'Remove it, or name another file with --output.',
    });
  }
  await writeAtomically(path, bytes).catch((cause: unknown) => {
    throw unwritable(path, messageOf(cause), undefined, cause);
  });
  return path;
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function find(entries: readonly ProjectionEntry[], id: string, dir: string): ProjectionEntry {
  const entry = entries.find((each) => each.id === id);
  if (entry !== undefined) return entry;
  const there = entries.length === 0 ? 'it has none' : `it has ${entries.map((each) => each.id).join(', ')}`;
  throw new AdapterError(
    'projection_unknown',
    `No projection ${JSON.stringify(id)} is registered in ${dir}: ${there}.`,
    {
      step: 'adapter',
      hint:
        entries.length === 0
          ? 'Train one with "reembed adapter train", import one with "reembed adapter import", or set REEMBED_PROJECTIONS_DIR.'
          : 'Name one of these, or train another one with "reembed adapter train".',
      context: { id, dir, known: entries.map((each) => each.id) },
    },
  );
}

function idsOf(entries: readonly ProjectionEntry[]): ReadonlySet<string> {
  return new Set(entries.map(({ id }) => id));
}

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function unreadable(file: string, reason: string, cause?: unknown): AdapterError {
  return new AdapterError('projection_missing', `${basename(file)} cannot be read at ${file}: ${reason}.`, {
    step: 'adapter',
    hint: 'Put the file back from your repository or an export, or train the projection anew with "reembed adapter train".',
    context: { file },
    ...(cause === undefined ? {} : { cause }),
  });
}

function unwritable(path: string, reason: string, hint: string | undefined, cause?: unknown): AdapterError {
  return new AdapterError('registry_unwritable', `Could not write ${path}: ${reason}.`, {
    step: 'adapter',
    hint:
      hint ??
      'Run the command where that file can be written, or name another directory with REEMBED_PROJECTIONS_DIR or --dir.',
    context: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}
