import { defineMigration } from 'reembed';

export default defineMigration({
  id: 'articles-minilm',
  table: 'articles',
  text: 'body',
  column: 'embedding',
  model: 'sentence-transformers/all-MiniLM-L6-v2',
  dimensions: 384,
  index: { kind: 'hnsw' },
});
