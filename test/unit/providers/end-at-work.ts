import { createProvider } from '../../../src/providers/create-provider.ts';

// Ends as its argument says, with both threads inside ONNX Runtime, or idle and never closed, or closed at work.
const provider = await createProvider(
  { provider: 'local', model: 'all-MiniLM-L6-v2', dimensions: 384 },
  { threads: 2 },
);
const how = process.argv[2];
if (how === 'idle') await provider.embed(['done'], { kind: 'document' });
else if (how === 'close') {
  const embedding = provider.embed(Array(500).fill('word '.repeat(250)), { kind: 'document' });
  embedding.catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await provider.close();
  process.exitCode = 5;
} else {
  void provider.embed(Array(500).fill('word '.repeat(250)), { kind: 'document' });
  setTimeout(() => {
    if (how === 'throw') throw new Error('uncaught');
    process.exit(7);
  }, 300);
}
