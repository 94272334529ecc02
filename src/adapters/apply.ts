import { AdapterError } from '../errors.ts';
import { openGraph, type RunnableGraph } from '../models/graph.ts';
import { ApplyThread } from './apply-thread.ts';
import { type InputFault, inputFaults, refuseInput } from './input-faults.ts';
import { projectionGraph } from './projection-graph.ts';
import type { LoadedProjection } from './registry.ts';
import { runProjection } from './run-projection.ts';
import type { Matrix, ProjectionEntry } from './types.ts';

/** Vectors that were mapped, with the rows whose result is worth nothing. */
export interface MappedVectors {
  /** As many rows as came in. */
  readonly matrix: Matrix;
  /** In order. */
  readonly faults: readonly InputFault[];
  /** The memory of what was given, for the next batch: to allocate as much each time keeps the garbage collector busy. */
  readonly given: Float32Array;
}

/** A projection that is ready to be applied. */
export interface Adapter {
  readonly entry: ProjectionEntry;
  /**
   * Maps vectors in a thread of its own, batches one after the other in the order of the calls.
   *
   * @param matrix is given away: where its values fill their buffer, this goes to the thread, and is empty here afterwards
   * @throws AdapterError `dimensions_differ`, `not_finite`, `outside_range` (`context.faults` names the rows), `adapter_closed`; ModelError
   */
  apply(matrix: Matrix, signal?: AbortSignal): Promise<Matrix>;
  /** The same for whoever goes on without the rows that cannot be mapped: they are told instead of thrown. */
  applyAll(matrix: Matrix, signal?: AbortSignal): Promise<MappedVectors>;
  /** One vector, at once and in this thread, which it takes a fraction of a millisecond: for queries. @throws as `apply` */
  applyOnce(vector: Float32Array): Promise<Float32Array>;
  /** Safe to call twice. What still waits is rejected. */
  close(): Promise<void>;
}

/**
 * Opens a projection that a registry has loaded. Nothing runs before it is used.
 * @param threads inside the thread that maps (1)
 */
export function openAdapter({ entry, projection }: LoadedProjection, { threads = 1 } = {}): Adapter {
  let thread: ApplyThread | undefined;
  let graph: Promise<RunnableGraph> | undefined;
  let closed = false;
  const assertUsable = (columns: number, length: number, rows: number): void => {
    if (closed) throw adapterClosed(entry.id);
    if (columns !== entry.source.dimensions) throw dimensionsDiffer(entry, columns);
    if (length !== rows * columns) throw new RangeError(`${length} values are not ${rows} × ${columns}`);
  };
  const applyAll = async (matrix: Matrix, signal?: AbortSignal): Promise<MappedVectors> => {
    assertUsable(matrix.columns, matrix.data.length, matrix.rows);
    signal?.throwIfAborted();
    if (matrix.rows === 0)
      return { matrix: { ...matrix, columns: entry.target.dimensions }, faults: [], given: matrix.data };
    thread ??= new ApplyThread({ projection, range: entry.range, threads }, () => adapterClosed(entry.id));
    const { data, ...rest } = await thread.apply(matrix, signal);
    return { matrix: { rows: matrix.rows, columns: entry.target.dimensions, data }, ...rest };
  };
  return {
    entry,
    applyAll,
    async apply(given, signal) {
      const { matrix, faults } = await applyAll(given, signal);
      const [first, ...rest] = faults;
      if (first !== undefined) throw refuseInput(entry, matrix.rows, [first, ...rest]);
      return matrix;
    },
    async applyOnce(vector) {
      assertUsable(vector.length, vector.length, 1);
      const matrix = { rows: 1, columns: vector.length, data: vector };
      const [fault] = inputFaults(matrix, entry.range);
      if (fault !== undefined) throw refuseInput(entry, 1, [fault]);
      graph ??= openGraph(projectionGraph(projection));
      return (await runProjection(await graph, matrix)).data;
    },
    async close() {
      closed = true;
      const opened = await graph?.catch(() => undefined);
      graph = undefined;
      await Promise.all([thread?.close(), opened?.release()]);
    },
  };
}

function dimensionsDiffer({ id, source, target }: ProjectionEntry, columns: number): AdapterError {
  return new AdapterError(
    'dimensions_differ',
    `The vectors have ${columns} dimensions, the projection ${id} maps ${source.dimensions} to ${target.dimensions}.`,
    {
      step: 'adapter',
      hint: 'Choose another projection ("reembed adapter list"), or train one with "reembed adapter train".',
      context: { projection: id, observed: columns, expected: source.dimensions },
    },
  );
}

function adapterClosed(id: string): AdapterError {
  return new AdapterError('adapter_closed', `The projection ${id} was closed while vectors were to be mapped.`, {
    step: 'adapter',
    hint: 'Open it again.',
  });
}
