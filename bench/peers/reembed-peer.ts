/** usage: reembed-peer.ts <model> <fp32 | fp16 | int8> <dimensions> */
import { readFileSync } from 'node:fs';
import type { Dtype } from '../../src/config/types.ts';
import { EmbeddingsService } from '../../src/service/embeddings-service.ts';
import { servePeer } from './serve-peer.ts';

const [model = '', dtype, dimensions] = process.argv.slice(2);
const service = await EmbeddingsService.init({
  model: { provider: 'local', model, dimensions: Number(dimensions) },
  dtype: dtype as Dtype,
  device: 'cpu',
  onNotice: (message) => console.error(message),
});
const versions = {
  reembed: versionIn('../../package.json'),
  node: process.version,
  'onnxruntime-node': versionIn('../../node_modules/onnxruntime-node/package.json'),
};
await servePeer(versions, { 'as it is': (texts) => service.encodeTexts(texts) });
await service.close();

function versionIn(path: string): string {
  const { version }: { version: string } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
  return version;
}
