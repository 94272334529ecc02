import { hash } from 'node:crypto';

/** First 16 bytes of the sha256 of the text's UTF-8 bytes: what `textHashSql` computes in the database. */
export function textHash(text: string): Buffer {
  return hash('sha256', text, 'buffer').subarray(0, 16);
}
