import { ReembedError } from '../../../src/errors.ts';
import { openSession } from '../../../src/models/session.ts';

// Opens the graph on the device, both as named, and prints what came of it as JSON.
const [, , device, graph = ''] = process.argv;
if (device !== 'cuda' && device !== 'webgpu' && device !== 'auto') throw new Error(`no device: ${device}`);
const options = { graph, device, dtype: 'fp32', graphOptimizationLevel: undefined, output: undefined } as const;
try {
  const session = await openSession(options);
  console.log(JSON.stringify({ device: session.device, note: session.note }));
  await session.release();
} catch (error) {
  if (!(error instanceof ReembedError)) throw error;
  console.log(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }));
}
