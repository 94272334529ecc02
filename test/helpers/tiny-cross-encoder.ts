import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** A cross-encoder of two layers with random weights, and what PyTorch makes of some pairs: see its README. */
export const TINY_FIXTURE = join(root, 'test/fixtures/tiny-cross-encoder');

/** The tiny cross-encoder as a model directory, with the bundled model's tokenizer, which is the same. */
export async function writeTinyCrossEncoder(directory: string): Promise<string> {
  await mkdir(join(directory, 'onnx'), { recursive: true });
  await copyFile(join(TINY_FIXTURE, 'model.onnx'), join(directory, 'onnx/model.onnx'));
  await copyFile(join(TINY_FIXTURE, 'config.json'), join(directory, 'config.json'));
  await copyFile(join(root, 'models/all-MiniLM-L6-v2/tokenizer.json'), join(directory, 'tokenizer.json'));
  return directory;
}
