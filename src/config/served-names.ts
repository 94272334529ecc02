/** Names under which Ollama has models of the Hub. */
const OLLAMA: Readonly<Record<string, string>> = {
  'nomic-embed-text': 'nomic-ai/nomic-embed-text-v1.5',
  embeddinggemma: 'google/embeddinggemma-300m',
  'mxbai-embed-large': 'mixedbread-ai/mxbai-embed-large-v1',
  'all-minilm': 'sentence-transformers/all-MiniLM-L6-v2',
};

/** What a model may be called in a table, by the name that a service has for it: also with a tag (Ollama) or the name of a backend before it (LiteLLM). */
export function servedNames(model: string): readonly string[] {
  const untagged = model.replace(/:[^/]*$/, '');
  const behind = untagged.replace(/^[^/]+\//, '');
  return [untagged, OLLAMA[untagged], behind, OLLAMA[behind]].filter((name) => name !== undefined);
}

/** The entry of the first of `names` that the table knows, by full name or by the part after the organisation. */
export function findByName<T>(table: Readonly<Record<string, T>>, names: readonly string[]): T | undefined {
  for (const name of names) {
    const entry = Object.entries(table).find(([full]) => full === name || full.endsWith(`/${name}`));
    if (entry !== undefined) return entry[1];
  }
  return undefined;
}
