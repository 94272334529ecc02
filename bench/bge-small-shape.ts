// Writes a model of the shape of BAAI/bge-small-en-v1.5 (12 layers, 384 wide, 12 heads, cls pooling) whose weights are random, as
// fp32 and int8, for measuring speed where the real weights are not at hand:
//   npx tsx bench/bge-small-shape.ts <directory>  &&  npx reembed bench --model <directory> --compare

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type BertShape, encodeBertGraph } from './bert-graph.ts';

const BGE_SMALL: BertShape = {
  vocabulary: 30_522,
  positions: 512,
  hidden: 384,
  intermediate: 1536,
  layers: 12,
  heads: 12,
};
const TOKENIZER = fileURLToPath(new URL('../models/all-MiniLM-L6-v2/tokenizer.json', import.meta.url));
const MODULES = 'sentence_transformers.models';

/** Writes the model's directory: both graphs, the BERT tokenizer, the files of sentence-transformers. */
export async function writeBgeSmallShape(directory: string, shape: BertShape = BGE_SMALL): Promise<void> {
  await mkdir(join(directory, 'onnx'), { recursive: true });
  await writeFile(join(directory, 'onnx/model.onnx'), encodeBertGraph(shape, 'fp32'));
  await writeFile(join(directory, 'onnx/model_int8.onnx'), encodeBertGraph(shape, 'int8'));
  await copyFile(TOKENIZER, join(directory, 'tokenizer.json'));
  const documents: Readonly<Record<string, unknown>> = {
    'config.json': {
      model_type: 'bert',
      hidden_size: shape.hidden,
      intermediate_size: shape.intermediate,
      num_hidden_layers: shape.layers,
      num_attention_heads: shape.heads,
      max_position_embeddings: shape.positions,
      vocab_size: shape.vocabulary,
      pad_token_id: 0,
    },
    'tokenizer_config.json': { pad_token: '[PAD]', model_max_length: shape.positions },
    'sentence_bert_config.json': { max_seq_length: shape.positions, do_lower_case: false },
    'modules.json': [
      { idx: 0, name: '0', path: '', type: `${MODULES}.Transformer` },
      { idx: 1, name: '1', path: '1_Pooling', type: `${MODULES}.Pooling` },
      { idx: 2, name: '2', path: '2_Normalize', type: `${MODULES}.Normalize` },
    ],
    '1_Pooling/config.json': { word_embedding_dimension: shape.hidden, pooling_mode_cls_token: true },
  };
  for (const [name, value] of Object.entries(documents)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), `${JSON.stringify(value, null, 2)}\n`);
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [directory] = process.argv.slice(2);
  if (directory === undefined) {
    console.error('usage: npx tsx bench/bge-small-shape.ts <directory>');
    process.exit(2);
  }
  await writeBgeSmallShape(directory);
  console.log(`Wrote a random-weights model of the shape of bge-small to ${directory}.`);
}
