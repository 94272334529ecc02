import { fitIdentifier, quoteQualified } from './identifiers.ts';
import { type TextSource, textSql } from './text-source.ts';

/** A column of the primary key. `type` is what `format_type` says, usable in a cast. */
export interface KeyColumn {
  readonly name: string;
  readonly type: string;
}

/** The three columns beside a vector that tell where it came from. */
export interface ProvenanceColumns {
  readonly model: string;
  readonly hash: string;
  readonly at: string;
}

/** A column of old vectors that an adapter maps. */
export interface OldVectors {
  readonly column: string;
  readonly vectorType: 'vector' | 'halfvec';
  /** 0 where the column is declared without. */
  readonly dimensions: number;
  /** Where reembed made them in an earlier migration. */
  readonly provenance: ProvenanceColumns | undefined;
}

/** Vectors that were mapped from the old ones, by the id that the state gave to their provenance. */
export interface AdaptedVectors {
  readonly modelId: number;
  /** What they were mapped from: a change of it makes a row pending again. Undefined where that column is gone. */
  readonly from?: OldVectors | undefined;
  /** `kept`: they count as embedded, like those of the model itself. `replaced`: they are what is pending, and nothing else is. */
  readonly as: 'kept' | 'replaced';
}

/** Everything that SQL about one vector column of one table needs; names are unquoted, resolved from the catalog. */
export interface VectorTarget {
  readonly schema: string;
  readonly table: string;
  readonly key: readonly KeyColumn[];
  readonly text: TextSource;
  readonly column: string;
  /** Undefined for a column that reembed did not make (the application's old one). */
  readonly provenance: ProvenanceColumns | undefined;
  /** Pending are only rows without any vector, or with a stale one: after the swap the application writes vectors of its own here. */
  readonly onlyMissing?: boolean;
  /** Vectors that an adapter made in this column. */
  readonly adapted?: AdaptedVectors | undefined;
  /** Pending are the rows that have an old vector, whatever their text: they are mapped, not embedded. */
  readonly mappedFrom?: OldVectors | undefined;
  readonly vectorType: 'vector' | 'halfvec';
  readonly dimensions: number;
  /** The schema in which the extension `vector` lives. */
  readonly vectorSchema: string;
  /** The schema of reembed's own state. */
  readonly stateSchema: string;
}

/** The names of the provenance columns that go with a vector column. */
export function provenanceOf(column: string): ProvenanceColumns {
  return {
    model: fitIdentifier(column, '_model'),
    hash: fitIdentifier(column, '_hash'),
    at: fitIdentifier(column, '_at'),
  };
}

export function tableSql(target: Pick<VectorTarget, 'schema' | 'table'>): string {
  return quoteQualified(target.schema, target.table);
}

/** E.g. `"public".vector(384)`. */
export function vectorTypeSql(target: Pick<VectorTarget, 'vectorSchema' | 'vectorType' | 'dimensions'>): string {
  return `${quoteQualified(target.vectorSchema, target.vectorType)}(${target.dimensions})`;
}

/** The binary form of a vector: comparing it needs nothing on the search path, which the extension's operators do. */
export function vectorSendSql(
  target: Pick<VectorTarget, 'vectorSchema'>,
  type: 'vector' | 'halfvec',
  expression: string,
): string {
  return `${quoteQualified(target.vectorSchema, `${type}_send`)}(${expression})`;
}

/** The bytes whose hash guards a row: equality of text lies under citext and nondeterministic collations, bytes do not. */
export function textBytesSql(text: TextSource, alias: string): string {
  return `pg_catalog.convert_to(${textSql(text, alias)}::text, 'UTF8')`;
}

/** First 16 bytes of the sha256 of the text's UTF-8 bytes. */
export function textHashSql(text: TextSource, alias: string): string {
  return `pg_catalog.substring(pg_catalog.sha256(${textBytesSql(text, alias)}), 1, 16)`;
}
