import { hashProvider } from '../../../src/providers/hash.ts';
import { cachedProvider } from '../../../src/providers/vector-cache/cached-provider.ts';

// Embeds one text after the other until it is killed, and prints the number of each that was answered.
const [, , cacheDir = ''] = process.argv;
const inner = hashProvider('hash/8');
const provider = cachedProvider(
  {
    ...inner,
    model: { ...inner.model, provider: 'openai', name: 'embed-8', revision: null, dtype: null },
  },
  { cacheDir },
);
for (let i = 0; ; i++) {
  await provider.embed([`text ${i}`], { kind: 'document' });
  process.stdout.write(`${i}\n`);
}
