import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewEntry } from '../../src/adapters/entry-schema.ts';
import { openRegistry } from '../../src/adapters/registry.ts';
import type { ProjectionEntry, ProjectionLayer } from '../../src/adapters/types.ts';
import type { Database } from '../../src/db/types.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { decodeVector } from '../../src/vector/binary.ts';
import { cosine } from '../../src/vector/math.ts';
import { affine, measures, newEntry } from '../unit/adapters/sample-projection.ts';
import type { Watched } from './oracle.ts';

const TARGET = 384;

/** Projections into the space of `hash/384`, made of a seed, in a registry of their own. */
export interface AdapterBed {
  readonly dir: string;
  /** Registers a random affine map; the same for the same seed. */
  add(seed: number, sourceDimensions: number, more?: Partial<NewEntry>): Promise<ProjectionEntry>;
  /** What an entry makes of a vector, by plain arithmetic. */
  map(id: string, vector: Float32Array): Float32Array;
  close(): void;
}

export function openAdapterBed(): AdapterBed {
  const dir = mkdtempSync(join(tmpdir(), 'reembed-adapters-'));
  const layers = new Map<string, ProjectionLayer>();
  return {
    dir,
    async add(seed, dimensions, more) {
      const layer = affine(dimensions, more?.target?.dimensions ?? TARGET, { seed, normalize: true });
      const { model } = hashProvider(`hash/${TARGET}`);
      const entry = await openRegistry(dir).add(
        newEntry({
          id: `seed-${seed}`,
          source: { fingerprint: { name: 'embedding', dimensions }, reference: undefined, dimensions },
          target: {
            fingerprint: { ...model },
            reference: { provider: 'hash', model: `hash/${TARGET}`, dimensions: TARGET },
            dimensions: TARGET,
          },
          range: { minNorm: 0.1, maxNorm: 10 },
          metrics: measures(0.9),
          ...more,
        }),
        { layers: [layer] },
      );
      layers.set(entry.id, layer);
      return entry;
    },
    map: (id, vector) => mapPlainly(layers.get(id), vector),
    close: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function mapPlainly(layer: ProjectionLayer | undefined, vector: Float32Array): Float32Array {
  if (layer?.weight === undefined) throw new RangeError('no such projection');
  const { weight, bias, output } = layer;
  const mapped = Float32Array.from({ length: output }, (_, column) =>
    vector.reduce((sum, value, row) => sum + value * (weight[row * output + column] ?? 0), bias?.[column] ?? 0),
  );
  const length = Math.hypot(...mapped);
  return mapped.map((value) => value / length);
}

/** Who made a row's new vector, checked by making it again: `hash/384`, `adapted:<id>`, `null`; `wrong` where it is not what its provenance says. */
export async function readMakers(
  db: Database,
  bed: AdapterBed,
  watched: Watched,
  { column = 'embedding_384', old = 'embedding' } = {},
): Promise<ReadonlyMap<string, string>> {
  const { rows } = await db.query<Row>(
    `SELECT (${watched.key})::text AS key, ${watched.text}::text AS text, (SELECT m.fingerprint ->> 'name' FROM reembed.models m WHERE m.id = t.${column}_model) AS maker,
       vector_send(t.${column}::vector) AS vector, vector_send(t.${old}::vector) AS old,
       t.${column}_hash IS NOT DISTINCT FROM substring(sha256(convert_to(${watched.text}::text, 'UTF8')), 1, 16) AS "hashFits"
     FROM ${watched.table} t`,
  );
  const embedded = await hashProvider('hash/384').embed(
    rows.map((row) => row.text ?? ''),
    { kind: 'document' },
  );
  return new Map(rows.map((row, i) => [row.key, makerOf(bed, row, embedded.vectors[i])]));
}

interface Row {
  readonly key: string;
  readonly text: string | null;
  readonly maker: string | null;
  readonly vector: Buffer | null;
  readonly old: Buffer | null;
  readonly hashFits: boolean;
}

function makerOf(bed: AdapterBed, { maker, vector, old, hashFits }: Row, embedded: Float32Array | undefined): string {
  if (maker === null || vector === null) return maker === null && vector === null ? 'null' : 'wrong';
  const adapter = /^adapted:(.*)$/.exec(maker)?.[1];
  const mapped = adapter === undefined || old === null ? undefined : bed.map(adapter, decodeVector(old));
  const expected = adapter === undefined ? embedded : mapped;
  const isRight = expected !== undefined && cosine(decodeVector(vector), expected) > 0.999;
  return isRight && hashFits ? maker : 'wrong';
}

/** How many rows each maker has. */
export function countMakers(makers: ReadonlyMap<string, string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const maker of makers.values()) counts[maker] = (counts[maker] ?? 0) + 1;
  return counts;
}
