import { defineMigration } from 'reembed';

export default defineMigration({
  id: 'articles-minilm',
  table: 'articles',
  text: 'body',
  column: 'embedding',
  // What the application searches with today, and what it will search with.
  from: { provider: 'openai', model: 'text-embedding-3-small', dimensions: 1536 },
  model: 'sentence-transformers/all-MiniLM-L6-v2',
  dimensions: 384,
  index: { kind: 'hnsw' },
});
