import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRecordedAdapter, readRecordedAdapter } from '../../src/adapters/recorded-adapter.ts';
import { openRegistry, type Registry } from '../../src/adapters/registry.ts';
import type { ProjectionEntry } from '../../src/adapters/types.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { textArrayLiteral } from '../../src/sql/array-literal.ts';
import { registerModel } from '../../src/state/models.ts';
import { updateRecord } from '../../src/state/records.ts';
import { adaptedFingerprint } from '../../src/steps/adapter-provenance.ts';
import { decodeVector } from '../../src/vector/binary.ts';
import { affine, newEntry, space } from '../unit/adapters/sample-projection.ts';
import type { Chain } from './chain.ts';

export interface AdaptedBed {
  readonly registry: Registry;
  readonly entry: ProjectionEntry;
  /** The registry's settings, for `Chain.context`. */
  readonly runtime: Pick<RuntimeSettings, 'adapters'>;
  remove(): Promise<void>;
}

/** A registry with one projection, from the 16 dimensions of `makeSegments` to hash/384. */
export async function makeAdaptedBed(): Promise<AdaptedBed> {
  const dir = await mkdtemp(join(tmpdir(), 'reembed-adapted-'));
  const registry = openRegistry(dir);
  const { model } = hashProvider('hash/384');
  const entry = await registry.add(
    newEntry({
      id: 'old--hash',
      source: space('hash/16', 16, { provider: 'hash' }),
      target: {
        fingerprint: { ...model },
        reference: { provider: 'hash', model: 'hash/384', dimensions: 384 },
        dimensions: 384,
      },
      range: { minNorm: 0.1, maxNorm: 5 },
    }),
    { layers: [affine(16, 384, { normalize: true })] },
  );
  const { adapters } = loadRuntimeSettings({ REEMBED_PROJECTIONS_DIR: dir });
  return { registry, entry, runtime: { adapters }, remove: () => rm(dir, { recursive: true, force: true }) };
}

/**
 * Fills rows as an adapter does, `where` a condition on `s`: the record names model and adapter, the rows hold what the projection makes of their
 * old vectors. By SQL, so that a test has adapted rows beside others wherever it wants them.
 */
export async function adaptRows(
  { db }: Chain,
  bed: AdaptedBed,
  where: string,
  column = 'embedding_384',
): Promise<void> {
  const { entry } = bed;
  const modelId = await registerModel(db, 'reembed', { ...entry.target.fingerprint, configuredAs: 'hash/384' });
  const adaptedModelId = await registerModel(db, 'reembed', { ...adaptedFingerprint(entry) });
  await updateRecord(db, 'reembed', 'segments-hash', { modelId, adaptedModelId });
  const { rows } = await db.query<{ id: string; old: Buffer }>(
    `SELECT s.id::text AS id, vector_send(s.embedding) AS old FROM segments s WHERE s.embedding IS NOT NULL AND ${where} ORDER BY s.id`,
  );
  const mapped = await mapRows(
    db,
    bed,
    adaptedModelId,
    rows.map(({ old }) => decodeVector(old)),
  );
  await db.query(
    `UPDATE segments s SET ${column} = u.vector::vector, ${column}_model = $3::int, ${column}_at = clock_timestamp(),
       ${column}_hash = substring(sha256(convert_to(s.text, 'UTF8')), 1, 16)
     FROM unnest($1::bigint[], $2::text[]) AS u(id, vector) WHERE s.id = u.id`,
    [
      textArrayLiteral(rows.map(({ id }) => id)),
      textArrayLiteral(mapped.map((vector) => `[${vector.join(',')}]`)),
      adaptedModelId,
    ],
  );
}

async function mapRows(db: Chain['db'], { runtime }: AdaptedBed, adaptedModelId: number, old: readonly Float32Array[]) {
  const recorded = await readRecordedAdapter(db, 'reembed', adaptedModelId);
  if (recorded === undefined) throw new Error('the adapter is not recorded');
  const opened = await openRecordedAdapter({ ...runtime, threads: 1 }, recorded);
  if ('problem' in opened) throw new Error(opened.problem);
  try {
    return await Promise.all(old.map((vector) => opened.adapter.applyOnce(vector)));
  } finally {
    await opened.adapter.close();
  }
}
