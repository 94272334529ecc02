import type { Distance } from '../config/types.ts';
import type { ColumnInfo, TableInfo, VectorExtension } from '../db/catalog-types.ts';

/** What a plan has to know about the database; `inspect` reads it. */
export interface PlanFacts {
  readonly table: Pick<TableInfo, 'schema' | 'name' | 'key' | 'indexes'> & {
    readonly columns: readonly Pick<ColumnInfo, 'name' | 'type' | 'dimensions'>[];
  };
  readonly extension: Pick<VectorExtension, 'schema' | 'version'>;
  readonly rowsEstimate: number;
  /** False when the number is the planner's. */
  readonly rowsCounted: boolean;
  /** Of each partition of a partitioned table. */
  readonly partitionRows?: readonly number[] | undefined;
  /** Bytes of the table with TOAST, without indexes. */
  readonly tableBytes: number;
  /** Of it the rows themselves, without TOAST. */
  readonly heapBytes?: number | undefined;
  readonly indexBytes: number;
  readonly oldDimensions: number | undefined;
  readonly annIndexes: readonly {
    readonly name: string;
    readonly method: 'ivfflat' | 'hnsw';
    readonly definition: string;
  }[];
  readonly oldDistance: Distance | undefined;
}
