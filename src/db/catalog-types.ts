import type { KeyColumn } from '../sql/target.ts';

export interface ColumnInfo {
  readonly name: string;
  readonly attnum: number;
  /** As `format_type` says it, e.g. `vector(1536)`; `information_schema` hides the dimensions. */
  readonly type: string;
  /** The base type's name without modifiers, e.g. `vector`. */
  readonly typeName: string;
  /** Of a vector type; null for other types and for vectors declared without. */
  readonly dimensions: number | null;
  readonly notNull: boolean;
  /** The default's SQL; null without one. */
  readonly defaultSql: string | null;
  readonly generated: boolean;
  readonly comment: string | null;
  /** -1 or null is the system's default. */
  readonly statisticsTarget: number | null;
}

export interface IndexInfo {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `ivfflat`, `hnsw`, `btree` … */
  readonly method: string;
  readonly valid: boolean;
  /** Columns that the index reads, in its expressions and predicate too. */
  readonly columns: readonly string[];
  /** `CREATE INDEX …` as pg_get_indexdef gives it. */
  readonly definition: string;
  /** Operator classes by key column, e.g. `vector_cosine_ops`. */
  readonly operatorClasses: readonly string[];
  /** E.g. `lists=100`. */
  readonly options: readonly string[];
  readonly predicate: string | null;
  readonly isExpression: boolean;
  readonly backsConstraint: boolean;
}

/** An index with the table or partition that it is on. */
export interface PartitionIndex extends IndexInfo {
  readonly tableOid: number;
  /** The index of the parent that it is attached to; null for one that stands alone. */
  readonly parentOid: number | null;
}

export interface CheckInfo {
  readonly name: string;
  /** `CHECK (…)` as pg_get_constraintdef gives it. */
  readonly definition: string;
  /** The expression alone. */
  readonly expression: string;
  readonly columns: readonly string[];
  readonly validated: boolean;
}

export interface TriggerInfo {
  readonly name: string;
  readonly functionName: string;
  readonly enabled: boolean;
  readonly definition: string;
}

/** A table as the catalog has it; every name unquoted. */
export interface TableInfo {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `r` ordinary, `p` partitioned. */
  readonly kind: string;
  readonly owner: string;
  /** The primary key's columns in its order; empty without one. */
  readonly key: readonly KeyColumn[];
  readonly columns: readonly ColumnInfo[];
  readonly indexes: readonly IndexInfo[];
  readonly checks: readonly CheckInfo[];
  /** The user's row triggers on UPDATE; reembed's own are left out. */
  readonly updateTriggers: readonly TriggerInfo[];
  readonly rowSecurity: { readonly enabled: boolean; readonly forced: boolean };
  /** The planner's estimate; -1 when never analysed. */
  readonly estimatedRows: number;
}

/** The extension `vector` in this database. */
export interface VectorExtension {
  readonly schema: string;
  readonly version: string;
  readonly vectorOid: number;
  readonly hasHalfvec: boolean;
}
