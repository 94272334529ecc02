import { z } from 'zod';
import { PROVIDERS } from '../config/provider-names.ts';
import { PROJECTION_KINDS } from './kinds.ts';
import type { ProjectionEntry } from './types.ts';

/** An id is a file's name without its ending: nothing hidden, no folder, no way out of one. */
export const ID = /^[a-z0-9][a-z0-9._-]{0,79}$/;
const SHA256 = /^[0-9a-f]{64}$/;

const count = z.number().int().nonnegative();
const dimensions = z.number().int().min(1).max(16_000);
const share = z.number();

const space = z.looseObject({
  fingerprint: z.record(z.string(), z.unknown()),
  reference: z
    .looseObject({ provider: z.enum(PROVIDERS).exclude(['adapted']), model: z.string().min(1), dimensions })
    .optional()
    .transform((reference) => reference),
  dimensions,
});

const retention = z.looseObject({
  real: share,
  adapted: share,
  old: share.optional().transform((old) => old),
  retention: share,
  low: share,
  high: share,
});

const metrics = z.looseObject({
  holdout: count,
  mse: z.number(),
  cosine: z.looseObject({ mean: share, p5: share }),
  similarityPreservation: share,
  neighbourConsistencyAt10: share,
  queries: z.looseObject({ source: z.string(), count }),
  recallAt10: retention,
  reciprocalRank: retention,
  scoreShrinkage: share,
  thresholds: z.array(z.looseObject({ real: share, adapted: share })),
});

// Loose: a field that a later release adds is carried along.

/** An entry without what only its place in a registry gives it: as it stands in the projection's own file. */
export const describedSchema = z.looseObject({
  id: z.string().regex(ID, 'expected 1 to 80 of a-z, 0-9, ".", "_" and "-", beginning with a letter or digit'),
  kind: z.enum([...PROJECTION_KINDS, 'chain']),
  direction: z.enum(['document', 'query']),
  source: space,
  target: space,
  composedOf: z.array(z.string()).optional(),
  samples: z.looseObject({ training: count, validation: count, holdout: count }),
  parameters: z.record(z.string(), z.number()),
  seed: z.number(),
  metrics: metrics.optional().transform((measured) => measured),
  range: z.looseObject({ minNorm: z.number().nonnegative(), maxNorm: z.number().nonnegative() }),
  createdAt: z.iso.datetime(),
});

export const entrySchema = describedSchema
  .extend({ file: z.string(), sha256: z.string().regex(SHA256, 'expected 64 hexadecimal digits') })
  .refine(({ id, file }) => file === `${id}.safetensors`, {
    path: ['file'],
    message: 'expected the id with .safetensors behind it, beside registry.json',
  });

/** What a registry makes an entry of; `id` and `createdAt` are made up unless said. */
export type NewEntry = Omit<ProjectionEntry, 'id' | 'file' | 'sha256' | 'createdAt'> &
  Partial<Pick<ProjectionEntry, 'id' | 'createdAt'>>;

export type DescribedEntry = Omit<ProjectionEntry, 'file' | 'sha256'>;
