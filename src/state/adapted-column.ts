/** The column of `migrations` that says whose vectors are an adapter's, for the quoted schema. */
export function adaptedColumn(schema: string): string {
  return `adapted_model_id integer REFERENCES ${schema}.models`;
}
