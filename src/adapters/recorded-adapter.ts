import type { RuntimeSettings } from '../config/types.ts';
import type { Queryable } from '../db/types.ts';
import { AdapterError } from '../errors.ts';
import { readModel } from '../state/models.ts';
import { type Adapter, openAdapter } from './apply.ts';
import { openRegistry } from './registry.ts';
import type { ProjectionEntry } from './types.ts';

const PREFIX = 'adapted:';

/** An adapter as the rows that it made name it. */
export interface RecordedAdapter {
  /** What the provenance column holds. */
  readonly modelId: number;
  /** E.g. `adapted:legacy--minilm--ridge-1000`. */
  readonly name: string;
  /** Its id in the registry. */
  readonly id: string;
  /** Of the file that mapped them; undefined where nobody noted it. */
  readonly sha256: string | undefined;
}

/** The adapter behind an id of the state; undefined where that is none, or is another model's. */
export async function readRecordedAdapter(
  db: Queryable,
  stateSchema: string,
  adaptedModelId: number | null,
): Promise<RecordedAdapter | undefined> {
  if (adaptedModelId === null) return undefined;
  const fingerprint = await readModel(db, stateSchema, adaptedModelId);
  const name = fingerprint?.name;
  if (typeof name !== 'string' || !name.startsWith(PREFIX)) return undefined;
  const [sha256] = Object.values(Object(fingerprint?.files));
  return {
    modelId: adaptedModelId,
    name,
    id: name.slice(PREFIX.length),
    sha256: typeof sha256 === 'string' ? sha256 : undefined,
  };
}

/** What the registry has under its id; a `problem`, without a full stop, where that is not the projection that made the rows. */
export async function findRecordedEntry(
  { adapters }: Pick<RuntimeSettings, 'adapters'>,
  { id, sha256 }: RecordedAdapter,
): Promise<{ readonly entry: ProjectionEntry } | { readonly problem: string }> {
  try {
    const entry = await openRegistry(adapters.dir).get(id);
    if (sha256 === undefined || entry.sha256 === sha256) return { entry };
    const problem = `${adapters.dir} has another projection under this id (sha256 ${entry.sha256}, the rows were mapped by ${sha256})`;
    return { problem };
  } catch (error) {
    return problemOf(error);
  }
}

/** The same, ready to map; to be closed. */
export async function openRecordedAdapter(
  { adapters, threads }: Pick<RuntimeSettings, 'adapters' | 'threads'>,
  recorded: RecordedAdapter,
): Promise<{ readonly adapter: Adapter } | { readonly problem: string }> {
  const found = await findRecordedEntry({ adapters }, recorded);
  if ('problem' in found) return found;
  try {
    const loaded = await openRegistry(adapters.dir).load(recorded.id);
    return { adapter: openAdapter(loaded, threads === undefined ? {} : { threads }) };
  } catch (error) {
    return problemOf(error);
  }
}

function problemOf(error: unknown): { readonly problem: string } {
  if (error instanceof AdapterError) return { problem: error.message.replace(/\.$/, '') };
  throw error;
}
