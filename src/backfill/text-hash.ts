import { createHash } from 'node:crypto';

/** First 16 bytes of the sha256 of the text's UTF-8 bytes: what `textHashSql` computes in the database. */
export function textHash(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest().subarray(0, 16);
}
