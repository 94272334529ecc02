// Takes the first 1,000 passages of the PostgreSQL 15 manual, with their older vectors, into examples/postgres-docs:
//   npx tsx scripts/make-example-data.ts <directory with postgres-docs.jsonl and legacy-1536-*.f16> [target directory]
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const PASSAGES = 1_000;
const DIMENSIONS = 1_536;
const BYTES_A_ROW = DIMENSIONS * 2;
const TEXTS = 'passages.jsonl';
const VECTOR_FILES = ['legacy-1536-documents.f16', 'legacy-1536-titles.f16'];

interface Passage {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

/** The source's order is random already: its first lines are a fair sample, and each title's own passage is among them. */
async function takePassages(source: string, target: string): Promise<Passage[]> {
  const lines = (await readFile(join(source, 'postgres-docs.jsonl'), 'utf8')).split('\n').slice(0, PASSAGES);
  const passages = lines.map((line) => {
    const { id, title, text } = JSON.parse(line) as Passage;
    if ([id, title, text].some((value) => typeof value !== 'string' || value === ''))
      throw new Error(`not a passage: ${line}`);
    return { id, title, text };
  });
  await writeFile(join(target, TEXTS), `${passages.map((passage) => JSON.stringify(passage)).join('\n')}\n`);
  return passages;
}

/** Rows are little-endian float16 in the order of the passages, so the first rows belong to the first lines. */
async function takeRows(source: string, target: string, name: string, rows: number): Promise<void> {
  const file = await open(join(source, name));
  try {
    const bytes = Buffer.alloc(rows * BYTES_A_ROW);
    const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, 0);
    if (bytesRead !== bytes.byteLength)
      throw new Error(`${name} has fewer than ${rows} rows of ${DIMENSIONS} float16 values`);
    await writeFile(join(target, name), bytes);
  } finally {
    await file.close();
  }
}

const [source, target = join(import.meta.dirname, '..', 'examples', 'postgres-docs')] = process.argv.slice(2);
if (source === undefined)
  throw new Error('usage: npx tsx scripts/make-example-data.ts <source directory> [target directory]');
await mkdir(target, { recursive: true });
const passages = await takePassages(source, target);
for (const name of VECTOR_FILES) await takeRows(source, target, name, passages.length);
const description = {
  sets: [
    { vectors: VECTOR_FILES[0], texts: TEXTS, field: 'text' },
    { vectors: VECTOR_FILES[1], texts: TEXTS, field: 'title' },
  ],
};
await writeFile(join(target, 'vectors.json'), `${JSON.stringify(description, undefined, 2)}\n`);
const titles = new Set(passages.map((passage) => passage.title)).size;
console.log(
  `${passages.length} passages under ${titles} titles, with ${VECTOR_FILES.length} × ${passages.length} vectors, in ${target}`,
);
