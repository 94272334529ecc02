import { overrideFromEnv } from './src/config/reference-env.ts';

// The reference case. Here, and only here, the reference guide's variables (EMBEDDING_MODEL, REEMBED_TABLE …) override it.
// In your own project pin everything instead: "export default defineMigration({ … })".
export default overrideFromEnv({
  id: 'segments-bge-small',
  table: 'segments',
  text: 'text',
  column: 'embedding',
  model: 'BAAI/bge-small-en-v1.5',
  dimensions: 384,
  index: { kind: 'ivfflat' },
});
