import { CholeskyDecomposition, EigenvalueDecomposition, Matrix as MlMatrix } from 'ml-matrix';
import { AdapterError } from '../errors.ts';
import { openGraph, type RunnableGraph } from '../models/graph.ts';
import { insideNative, type NativeSection } from '../models/native-section.ts';
import type { OnnxGraph } from '../models/onnx-writer.ts';
import { at, block, type Dense, gaussian, plus, plusDiagonal, putBlock, trace, zeros } from './dense.ts';

/** Which factor is taken transposed. */
export type Transposed = 'none' | 'first' | 'second';

/** Products of matrices at the processor's speed. */
export interface Algebra {
  /** `a·b`, `aᵀ·b` or `a·bᵀ`. Blocks its thread. */
  multiply(a: Dense, b: Dense, transposed?: Transposed): Promise<Dense>;
  /** Runs a graph of one's own with the same threads and the same regard for the process's end. */
  open(graph: OnnxGraph): Promise<RunnableGraph>;
  close(): Promise<void>;
}

/** Blocks of this size go to plain JavaScript: below it a call of ONNX Runtime costs more than the product. */
const LEAF = 32;
/** Small singular values grow by half a step: after so many only those below 1e-8 of the largest are still nothing. */
const STEPS = 50;
/** Symmetric matrices up to this size are taken apart whole: half a second for 384, three for 768. */
const LARGEST_EIGEN = 512;
/** Fewer eigenvectors than this part of all are found sooner by subspace iteration. */
const FEW = 5;

function productGraph(transposed: Transposed): OnnxGraph {
  const first = transposed === 'first' ? ['inner', 'rows'] : ['rows', 'inner'];
  const second = transposed === 'second' ? ['columns', 'inner'] : ['inner', 'columns'];
  const attributes = { transA: transposed === 'first' ? 1 : 0, transB: transposed === 'second' ? 1 : 0 };
  return {
    name: 'product',
    inputs: [
      { name: 'a', type: 'double', dims: first },
      { name: 'b', type: 'double', dims: second },
    ],
    outputs: [{ name: 'c', type: 'double', dims: ['rows', 'columns'] }],
    constants: [],
    nodes: [{ op: 'Gemm', inputs: ['a', 'b'], output: 'c', attributes }],
  };
}

/** @param section tells the owner of this thread when it is inside ONNX Runtime, and this thread when it is to stop */
export function openAlgebra(threads: number, section: NativeSection): Algebra {
  const graphs = new Map<Transposed, RunnableGraph>();
  const opened: RunnableGraph[] = [];
  const open = async (graph: OnnxGraph): Promise<RunnableGraph> => {
    const inner = await insideNative(section, () => openGraph(graph, { threads }));
    opened.push(inner);
    return { ...inner, run: (inputs) => insideNative(section, () => inner.run(inputs)) };
  };
  return {
    open,
    async multiply(a, b, transposed = 'none') {
      const graph = graphs.get(transposed) ?? (await open(productGraph(transposed)));
      graphs.set(transposed, graph);
      const { c } = await graph.run({
        a: { data: a.data, dims: [a.rows, a.columns] },
        b: { data: b.data, dims: [b.rows, b.columns] },
      });
      const [rows = 0, columns = 0] = c?.dims ?? [];
      return { rows, columns, data: c?.data as Float64Array };
    },
    async close() {
      for (const graph of opened) await insideNative(section, () => graph.release());
    },
  };
}

/**
 * `L⁻¹` of a symmetric positive definite `A = L·Lᵀ`, by halves: nearly all of it is products of matrices (the block form of Cholesky's
 * method, Golub and Van Loan 2013, 4.2.9). `A⁻¹B` is then `L⁻ᵀ(L⁻¹B)`.
 * @throws AdapterError `rank_deficient` where A is not positive definite
 */
export async function inverseCholesky(algebra: Algebra, a: Dense): Promise<Dense> {
  const n = a.rows;
  if (n <= LEAF) return inverseCholeskyLeaf(a);
  const top = LEAF * Math.ceil(n / LEAF / 2);
  const rest = n - top;
  const inverse = zeros(n, n);
  const first = await inverseCholesky(algebra, block(a, 0, 0, top, top));
  const panel = await algebra.multiply(block(a, top, 0, rest, top), first, 'second');
  const update = await algebra.multiply(panel, panel, 'second');
  const second = await inverseCholesky(algebra, plus(block(a, top, top, rest, rest), update, -1));
  const corner = await algebra.multiply(second, await algebra.multiply(panel, first));
  putBlock(inverse, 0, 0, first);
  putBlock(inverse, top, 0, { ...corner, data: corner.data.map((value) => -value) });
  putBlock(inverse, top, top, second);
  return inverse;
}

function inverseCholeskyLeaf(a: Dense): Dense {
  const cholesky = new CholeskyDecomposition(toMl(symmetric(a)));
  if (!cholesky.isPositiveDefinite()) throw singular();
  const factor = fromMl(cholesky.lowerTriangularMatrix);
  const inverse = zeros(a.rows, a.rows);
  // Forward substitution of the identity, column by column.
  for (let column = 0; column < a.rows; column++) {
    for (let i = column; i < a.rows; i++) {
      let sum = i === column ? 1 : 0;
      for (let j = column; j < i; j++)
        sum -= (factor.data[i * a.rows + j] ?? 0) * (inverse.data[j * a.rows + column] ?? 0);
      inverse.data[i * a.rows + column] = sum / (factor.data[i * a.rows + i] ?? 0);
    }
  }
  return inverse;
}

/** Products are symmetric but for their last digit, which ml-matrix takes exception to. */
function symmetric(a: Dense): Dense {
  const result = { ...a, data: a.data.slice() };
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < i; j++) result.data[j * a.columns + i] = at(a, i, j);
  }
  return result;
}

function singular(): AdapterError {
  return new AdapterError('rank_deficient', 'The sample vectors do not determine a map: their moments are singular.', {
    step: 'adapter',
    hint: 'Train with more samples, or with --kind ridge, whose penalty needs none of that.',
  });
}

/** `A⁻¹·b` of a symmetric positive definite A. */
export async function solveSymmetric(algebra: Algebra, a: Dense, b: Dense): Promise<Dense> {
  const inverse = await inverseCholesky(algebra, a);
  return algebra.multiply(inverse, await algebra.multiply(inverse, b), 'first');
}

/**
 * The orthogonal polar factor `U·Vᵀ` of `M = U·S·Vᵀ`, with orthonormal columns (rows where M is wide), by the iteration of Newton and
 * Schulz (Higham 2008, 8.3): products only, at any size. `rank` is how many directions of M it covers.
 */
export async function polarFactor(
  algebra: Algebra,
  m: Dense,
): Promise<{ readonly factor: Dense; readonly rank: number }> {
  const wide = m.columns > m.rows;
  const size = Math.sqrt(trace(await algebra.multiply(m, m, wide ? 'second' : 'first')));
  let factor: Dense = { ...m, data: m.data.map((value) => value / size) };
  let before = -1;
  for (let step = 0; step < 2 * STEPS; step++) {
    const gram = await algebra.multiply(factor, factor, wide ? 'second' : 'first');
    const rank = trace(gram);
    if (step >= STEPS && Math.abs(rank - before) < 1e-9) return { factor, rank: Math.round(rank) };
    before = rank;
    const product = wide ? await algebra.multiply(gram, factor) : await algebra.multiply(factor, gram);
    factor = { ...factor, data: factor.data.map((value, i) => 1.5 * value - 0.5 * (product.data[i] ?? 0)) };
  }
  return { factor, rank: Math.round(before) };
}

/** Eigenvalues, descending, and the eigenvectors as columns. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: Dense;
}

/** Of a symmetric matrix, all of them; cubic in plain JavaScript. */
export function symmetricEigen(a: Dense): Eigen {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(toMl(symmetric(a)), {
    assumeSymmetric: true,
  });
  const order = realEigenvalues.map((_, i) => i).sort((i, j) => (realEigenvalues[j] ?? 0) - (realEigenvalues[i] ?? 0));
  const vectors = zeros(a.rows, a.rows);
  order.forEach((from, to) => {
    for (let i = 0; i < a.rows; i++) vectors.data[i * a.rows + to] = eigenvectorMatrix.get(i, from);
  });
  return { values: Float64Array.from(order, (i) => realEigenvalues[i] ?? 0), vectors };
}

/**
 * The `count` largest eigenvalues of a symmetric positive semidefinite matrix. Few of many, and beyond 512 rows, by subspace iteration from a seeded start
 * (Halko, Martinsson and Tropp 2011, 4.4), at most 480 of them.
 */
export async function leadingEigen(algebra: Algebra, a: Dense, count: number): Promise<Eigen> {
  if (a.rows <= LARGEST_EIGEN && count * FEW > a.rows) return first(symmetricEigen(a), count);
  const width = Math.min(LARGEST_EIGEN, a.rows, count + 32);
  let basis = await orthonormal(algebra, gaussian(a.rows, width, 1));
  for (let step = 0; step < 8; step++) basis = await orthonormal(algebra, await algebra.multiply(a, basis));
  const inside = symmetricEigen(await algebra.multiply(basis, await algebra.multiply(a, basis), 'first'));
  return first({ ...inside, vectors: await algebra.multiply(basis, inside.vectors) }, count);
}

function first({ values, vectors }: Eigen, count: number): Eigen {
  const kept = Math.min(count, values.length);
  return { values: values.slice(0, kept), vectors: block(vectors, 0, 0, vectors.rows, kept) };
}

/** The same span with orthonormal columns: Cholesky QR, twice, because once loses half the digits (Yamamoto et al. 2015). */
async function orthonormal(algebra: Algebra, a: Dense): Promise<Dense> {
  let basis = a;
  for (let pass = 0; pass < 2; pass++) {
    const gram = await algebra.multiply(basis, basis, 'first');
    // Directions that a does not span stay all but zero instead of failing.
    const shift = 1e-12;
    basis = await algebra.multiply(
      basis,
      await inverseCholesky(algebra, plusDiagonal(gram, shift * trace(gram))),
      'second',
    );
  }
  return basis;
}

export function toMl(a: Dense): MlMatrix {
  return MlMatrix.from1DArray(a.rows, a.columns, a.data);
}

export function fromMl(matrix: MlMatrix): Dense {
  return { rows: matrix.rows, columns: matrix.columns, data: Float64Array.from(matrix.to1DArray()) };
}
