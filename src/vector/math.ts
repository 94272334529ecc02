/** Euclidean length of `vector`. */
export function norm(vector: Float32Array): number {
  return Math.sqrt(dot(vector, vector));
}

/** Inner product of two vectors of equal length, accumulated in double precision. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** Cosine similarity, -1..1; NaN when either vector has no length, so that a comparison with a limit fails. */
export function cosine(a: Float32Array, b: Float32Array): number {
  return dot(a, b) / (norm(a) * norm(b));
}

/** True when no value is NaN or infinite: either spoils the sum, and a sum of float32 values cannot overflow in double precision. */
export function isFiniteVector(vector: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i] ?? 0;
  return Number.isFinite(sum);
}

/** True when every value is zero: such a vector has no direction and cosine indexes leave it out without a word. */
export function isZeroVector(vector: Float32Array): boolean {
  for (const value of vector) if (value !== 0) return false;
  return true;
}
