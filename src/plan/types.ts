import type { Distance, IndexKind } from '../config/types.ts';
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
  /** Bytes of the table with TOAST, without indexes. */
  readonly tableBytes: number;
  readonly indexBytes: number;
  readonly oldDimensions: number | undefined;
  readonly annIndexes: readonly {
    readonly name: string;
    readonly method: 'ivfflat' | 'hnsw';
    readonly definition: string;
  }[];
  readonly oldDistance: Distance | undefined;
}

/** One of the three migrations. */
export interface PlannedStep {
  /** E.g. `005_add_embedding_384`. */
  readonly name: string;
  readonly summary: string;
  /** The statements, in order. `$n` are parameters; the model's id is 1 where it is not known yet. */
  readonly sql: readonly string[];
}

export interface PlannedVectorIndex {
  readonly name: string;
  readonly kind: Exclude<IndexKind, 'none'>;
  readonly lists: number | undefined;
  readonly probes: number | undefined;
  readonly efSearch: number | undefined;
  readonly sql: string;
  /** maintenance_work_mem that building it needs; undefined for HNSW, which goes on without. */
  readonly buildMemoryBytes: number | undefined;
  /** An estimate, on disk. */
  readonly bytes: number;
  /** Why it is not what was asked for. */
  readonly notice: string | undefined;
}

export interface PlannedStorage {
  /** Vectors and provenance of all rows. */
  readonly newColumnBytes: number;
  readonly newIndexBytes: number;
  /** Vectors of the old column, which stay until VACUUM FULL or a repack even when it is dropped. */
  readonly oldColumnBytes: number | undefined;
  /** As measured. */
  readonly tableBytes: number;
  readonly indexBytes: number;
}

/** What a setting of the configuration means for this table. */
export interface PlannedChoice {
  readonly option: 'oldIndex' | 'oldColumn';
  readonly value: 'keep' | 'drop';
  readonly chosen: boolean;
  readonly means: string;
}

/** What a migration will do, before it does anything; frozen. */
export interface MigrationPlan {
  readonly migration: string;
  readonly table: string;
  readonly text: string;
  readonly column: string;
  readonly target: string;
  /** The types of the vectors, e.g. `vector(1536)`. */
  readonly from: string;
  readonly to: string;
  readonly model: string;
  readonly rows: number;
  readonly rowsCounted: boolean;
  readonly distance: Distance;
  readonly steps: readonly PlannedStep[];
  readonly indexes: readonly PlannedVectorIndex[];
  readonly storage: PlannedStorage;
  readonly choices: readonly PlannedChoice[];
  readonly notes: readonly string[];
}
