import type { ProjectionKind } from './types.ts';

/** Every kind that is trained, the simplest first. */
export const PROJECTION_KINDS = [
  'identity',
  'procrustes',
  'ridge',
  'low-rank',
  'residual-mlp',
] as const satisfies readonly ProjectionKind[];
