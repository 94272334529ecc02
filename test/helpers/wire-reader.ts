/** How much of a statement is kept to recognise it by. */
const KEPT_BYTES = 200;
const QUERY = 0x51;
const PARSE = 0x50;

/**
 * Follows what a client of Postgres sends, message by message, and tells the beginning of each statement's text.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class WireReader {
  readonly #onStatement: (text: string) => void;
  /** The first message has no type: it is the startup packet, or a request for SSL, which the tests do not make. */
  #started = false;
  #header: number[] = [];
  #type = 0;
  #left = 0;
  #kept: Buffer[] = [];

  constructor(onStatement: (text: string) => void) {
    this.#onStatement = onStatement;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left === 0) {
        at = this.#readHeader(chunk, at);
        continue;
      }
      const taken = Math.min(this.#left, chunk.length - at);
      const wanted = KEPT_BYTES - this.#kept.reduce((sum, part) => sum + part.length, 0);
      if (wanted > 0) this.#kept.push(chunk.subarray(at, at + Math.min(taken, wanted)));
      at += taken;
      this.#left -= taken;
      if (this.#left === 0) this.#finish();
    }
  }

  #readHeader(chunk: Buffer, from: number): number {
    const length = this.#started ? 5 : 4;
    let at = from;
    while (at < chunk.length && this.#header.length < length) this.#header.push(chunk[at++] ?? 0);
    if (this.#header.length < length) return at;
    const header = Buffer.from(this.#header);
    this.#type = this.#started ? (header[0] ?? 0) : 0;
    this.#left = header.readUInt32BE(length - 4) - 4;
    this.#header = [];
    this.#kept = [];
    this.#started = true;
    if (this.#left === 0) this.#finish();
    return at;
  }

  #finish(): void {
    if (this.#type !== QUERY && this.#type !== PARSE) return;
    const body = Buffer.concat(this.#kept);
    // A Parse message begins with the statement's name, which pg leaves empty.
    const start = this.#type === PARSE ? body.indexOf(0) + 1 : 0;
    const end = body.indexOf(0, start);
    this.#onStatement(body.toString('utf8', start, end === -1 ? body.length : end));
  }
}
