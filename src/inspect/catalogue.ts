/**
 * What `doctor` looks at, and for each code that a finding may have why it matters. A finding's code must stand here, or the code that makes it
 * does not compile. Providers and models bring codes of their own.
 */
const CATALOGUE = {
  server: {
    postgres_too_old: 'reembed uses SQL that older versions do not know.',
    standby: 'Every step writes, and a standby cannot.',
    read_only: 'Every step writes.',
    postgres_concurrently:
      'Indexes are built CONCURRENTLY beside the application, and a row that an index misses is never found through it.',
  },
  pgvector: {
    extension_missing: 'Without the extension there is no vector type.',
    extension_schema_denied: 'Types, functions and operators of pgvector are called by their schema.',
    extension_outdated: 'What the new version adds or corrects in SQL is missing until the extension is updated.',
    halfvec_missing: 'The new column cannot be made.',
    method_missing: 'The new index cannot be built.',
    pgvector_hnsw_parallel_build: 'It can crash the server or put data of other tables into the index (CVE-2026-3172).',
    pgvector_hnsw_vacuum: 'A damaged graph loses rows from search results until the index is built again.',
    pgvector_ivfflat_build: 'Memory is written past its end while the index is built, which can crash the server.',
    pgvector_ivfflat_insert: 'Rows inserted since are not found through the index.',
  },
  rights: {
    expression_denied: 'Without Postgres reading it, nobody knows which columns a text expression is made of.',
    catalog_denied: 'What cannot be looked at cannot be migrated.',
    select_denied: 'The texts are read row by row.',
    not_owner: 'Only its owner may add a column or a trigger to a table.',
    schema_create_denied: 'The new indexes are made in the schema of the table.',
    state_schema_denied: 'The state tells a later run where this one stopped.',
  },
  'row security': {
    row_security: 'Hidden rows would keep old vectors, and nobody would notice.',
  },
  table: {
    table_missing: 'There is nothing to migrate.',
    foreign_partition: 'No trigger of this server guards rows of another one, and no index can be built on them.',
    partition: 'Columns are added to and renamed in the whole table only.',
    not_a_table: 'Only a table has columns that can be added and exchanged.',
    no_primary_key: 'A row that cannot be found again cannot be written.',
    inheritance: 'Rows of other tables would take part without their own indexes and triggers.',
    temporary_table: 'reembed works over several connections.',
    unlogged_table: 'New vectors cost time or money to make again.',
    update_rule: 'A rewritten UPDATE may write another row than the one that was embedded, or none.',
  },
  columns: {
    text_missing: 'There is nothing to embed.',
    column_missing: 'There is no column for the new one to take the place of.',
    expression_invalid: 'There is nothing to embed.',
    expression_refused: 'A text must follow from the columns of its row, or edits of it would go unnoticed.',
    expression_not_immutable: 'The vectors of texts that change by themselves would go stale without a word.',
    expression_type: 'Only text can be embedded.',
    text_generated: 'The vectors of edited texts would go stale without a word.',
    not_a_vector: 'Only a vector column can be exchanged for one.',
    column_generated: 'Postgres would go on computing the old values.',
    no_dimensions: 'A vector of another size is taken without an error and breaks the queries that meet it.',
    target_taken: 'Values that somebody else wrote would be overwritten.',
    target_left_over: 'Vectors of an unknown model must not be taken for new ones.',
    target_dimensions: "The model's vectors do not fit into the column.",
    too_many_dimensions: 'The new column cannot be made.',
    not_indexable: 'The swap could not build its index.',
    migration_overlaps: "Two migrations of one column would exchange each other's vectors.",
    name_taken: 'The exchange would fail at the name.',
    old_column_kept: 'The exchange would fail at the name.',
  },
  models: {
    same_size_models:
      'Vectors of two models cannot be compared, and with equal dimensions Postgres does not notice: results are silently wrong.',
    old_model_dimensions: "Going back fills rows with the old model's vectors, which would not fit.",
  },
  projections: {
    projection_fits:
      'It maps tens of thousands of stored vectors a second, and what it loses was measured on texts that it was not trained on.',
    projection_chain: 'What two of them lose behind each other is not the sum of what each loses.',
    projection_missing: 'Without one every text has to be embedded.',
  },
  'vector columns': {
    same_dimensions:
      'Vectors of two models cannot be compared: queries across these columns fail, or are silently wrong.',
  },
  'stored vectors': {
    mixed_dimensions: 'A query that meets a vector of another size fails.',
    mixed_models: 'Vectors of two models cannot be compared, and their order in a search means nothing.',
    mixed_lengths:
      'One model gives all vectors length 1 or none: these are hardly of one model or one way of making them.',
    zero_vectors: 'They have no direction: a cosine index leaves them out, so that their rows are never found.',
    not_finite: 'Distances to them are not numbers, and the order of results is undefined.',
    not_normalised: 'Inner products of vectors of different lengths prefer the longer ones.',
    duplicate_vectors:
      'Different texts with one vector cannot be told apart: it belongs to an older text, or the model failed.',
  },
  'adapted rows': {
    adapted_rows: 'Mapped vectors find somewhat less than those that the model itself makes of the texts.',
    adapter_missing: 'Nobody can verify these rows, and rows that come in cannot be mapped.',
  },
  texts: {
    texts_missing: 'Rows without text get no vector and are not found by a search.',
  },
  'text lengths': {
    texts_too_long: 'A model reads a text up to its limit: what stands behind is not searched.',
  },
  indexes: {
    index_invalid: 'Queries do not use it, and every write maintains it.',
    distance_mismatch:
      'A query uses an index only for the distance that it was built for, else it reads the whole table.',
  },
  'index use': {
    index_not_used: 'Queries read the whole table instead, and every write maintains the index for nothing.',
  },
  surroundings: {
    user_triggers: 'The backfill updates every row once, and with it whatever they do.',
    subscriber: 'Replicated edits fire no ordinary trigger.',
    dependent_bound: 'It would silently go on with vectors that nobody maintains.',
    dependent_mentions: 'A query of the old size fails on the new column.',
    publication: 'A subscriber stops applying changes at a column that it lacks.',
    replica_identity: 'The backfill could not write a single row.',
    transaction_pooler: 'Leases, settings and index builds need a session of their own.',
  },
  'disk space': {
    disk_space: 'A full disk stops the whole server.',
  },
  'build memory': {
    build_memory: 'IVFFlat fails without the memory that it needs; HNSW goes on, many times slower.',
  },
  'shared memory': {
    shared_memory: 'A parallel build whose shared memory cannot grow fails with "No space left on device".',
  },
  replication: {
    slot_inactive: 'It keeps all WAL since, and the backfill writes much: the disk fills up.',
    slot_lost: 'Its consumer cannot go on and has to be set up again.',
    replica_lag: 'The backfill makes it larger, and readers of the replica see old vectors longer.',
  },
  state: {
    lease_expired: 'What it was doing is half done.',
    quarantine: 'These rows have no new vector.',
    state_mismatch: 'The catalog is what counts: a step would start from it.',
  },
  'model files': {},
  provider: {
    probe_failed: 'Without its answer no row can be embedded.',
    model_changed: 'Vectors of two models cannot be compared, even where family and dimensions are the same.',
  },
  reranker: {
    reranker_failed: 'A search that asks for it fails.',
  },
  cuda: {
    cuda_missing: 'A device that was asked for is taken or refused, never replaced.',
    cuda_unused: 'The CPU embeds many times slower.',
  },
  environment: {
    environment_overrides: 'The same migration does another thing here than where they are not set.',
  },
} as const;

type Catalogue = typeof CATALOGUE;

export type CheckName = keyof Catalogue;

/** Every code that reembed's own inspections may give a finding. */
export type FindingCode = { [Check in CheckName]: keyof Catalogue[Check] }[CheckName];

export const CHECK_NAMES = Object.keys(CATALOGUE) as readonly CheckName[];

/** Codes with the check that they belong to and why they matter. */
const BY_CODE: ReadonlyMap<string, { readonly check: CheckName; readonly why: string }> = new Map(
  CHECK_NAMES.flatMap((check) => Object.entries(CATALOGUE[check]).map(([code, why]) => [code, { check, why }])),
);

export const FINDING_CODES: readonly string[] = [...BY_CODE.keys()];

/** Undefined for a code that came with an error from elsewhere. */
export function checkOf(code: string): CheckName | undefined {
  return BY_CODE.get(code)?.check;
}

export function whyOf(code: string): string {
  return BY_CODE.get(code)?.why ?? 'The migration cannot go on past it.';
}
