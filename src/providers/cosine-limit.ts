import type { ModelFingerprint } from './types.ts';

/** The same arithmetic on the same machine: only the rounding of the database's form is left. */
const EXACT = 1 - 1e-6;
const FP32 = 0.9999;
const FP16 = 0.999;
const INT8 = 0.96;

/**
 * What the cosine of a text embedded twice reaches at least. Dynamic int8 depends on what else is in the batch, the others only on rounding:
 * that of fp32 differs by batch size and device in the last digits, that of fp16 in the fourth. A service that does not say how it computes is
 * taken for one of fp16, as most are; two different models, or one and its quantisation, are further apart than that.
 */
export function cosineLimit({ provider, dtype }: Pick<ModelFingerprint, 'provider' | 'dtype'>): number {
  if (provider === 'hash' || provider === 'file') return EXACT;
  if (dtype === 'int8') return INT8;
  return dtype === 'fp32' ? FP32 : FP16;
}
