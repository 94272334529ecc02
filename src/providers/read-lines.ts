import { createReadStream } from 'node:fs';

export interface Line {
  readonly text: string;
  /** 1 for the first line. */
  readonly number: number;
  /** Where the line begins in the file, and its bytes without the line end. */
  readonly offset: number;
  readonly bytes: number;
}

const LINE_FEED = 10;

/** The lines of a UTF-8 file that are not blank, with their places, in bounded memory. */
export async function* readLines(path: string): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0);
  let offset = 0;
  let number = 0;
  const lineAt = (bytes: Buffer): Line => {
    number += 1;
    const line = { text: bytes.toString('utf8'), number, offset, bytes: bytes.length };
    offset += bytes.length + 1;
    return line;
  };
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const buffer: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = buffer.indexOf(LINE_FEED); end >= 0; end = buffer.indexOf(LINE_FEED, start)) {
      const line = lineAt(buffer.subarray(start, end));
      if (line.text.trim() !== '') yield line;
      start = end + 1;
    }
    rest = buffer.subarray(start);
  }
  if (rest.toString('utf8').trim() !== '') yield lineAt(rest);
}
