/** One message from a client of the frontend/backend protocol 3.0, still in its wire form. */
export interface Frame {
  /** `encryption`: SSLRequest or GSSENCRequest. `message`: everything after the startup. */
  readonly kind: 'encryption' | 'cancel' | 'startup' | 'message';
  /** The type byte of a message, `''` before the startup is over. */
  readonly type: string;
  readonly bytes: Buffer;
}

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
/** Postgres's own limit for one message (PQ_LARGE_MESSAGE_LIMIT). */
const LONGEST = 0x3fff_ffff;

function startupKind(code: number): Frame['kind'] {
  if (code === SSL_REQUEST || code === GSS_REQUEST) return 'encryption';
  return code === CANCEL_REQUEST ? 'cancel' : 'startup';
}

/**
 * Cuts a client's byte stream into messages, whatever the chunks are.
 * Source: PostgreSQL documentation, "Message Formats". The returned function throws RangeError on a length that no
 * client sends; the connection is beyond repair then.
 */
export function createFrameReader(): (chunk: Buffer) => Frame[] {
  let started = false;
  let chunks: Buffer[] = [];
  let size = 0;
  let needed = 8;

  function next(data: Buffer): Frame | undefined {
    const header = started ? 5 : 8;
    if (data.length < header) {
      needed = header;
      return undefined;
    }
    const length = started ? 1 + data.readInt32BE(1) : data.readInt32BE(0);
    if (length < header || length > LONGEST) throw new RangeError(`a message of ${length} bytes`);
    needed = length;
    if (data.length < length) return undefined;
    const bytes = data.subarray(0, length);
    if (started) return { kind: 'message', type: String.fromCharCode(bytes[0] ?? 0), bytes };
    const kind = startupKind(bytes.readInt32BE(4));
    started = kind === 'startup';
    return { kind, type: '', bytes };
  }

  return (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    // A batch of vectors arrives in many chunks: joined once, when it is complete.
    if (size < needed) return [];
    let data = chunks.length === 1 ? chunk : Buffer.concat(chunks, size);
    const frames: Frame[] = [];
    for (let frame = next(data); frame !== undefined; frame = next(data)) {
      frames.push(frame);
      data = data.subarray(frame.bytes.length);
    }
    chunks = data.length === 0 ? [] : [data];
    size = data.length;
    return frames;
  };
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** A simple query. */
export function queryMessage(sql: string): Buffer {
  return message('Q', Buffer.from(`${sql}\0`));
}

/** The end of an extended query: also leaves the state in which the server skips everything after an error. */
export function syncMessage(): Buffer {
  return message('S', Buffer.alloc(0));
}

/** An ErrorResponse that ends the connection. */
export function fatalMessage(sqlstate: string, text: string): Buffer {
  return message('E', Buffer.from(`SFATAL\0VFATAL\0C${sqlstate}\0M${text}\0\0`));
}

const REFUSE_COPY = `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '0A000',
  MESSAGE = 'COPY FROM STDIN is not available on the embedded Postgres',
  HINT = 'Use INSERT with arrays, or a Postgres server (DATABASE_URL).'; END $$`;

/** PGlite waits for ever for the data of a COPY FROM STDIN; an error from Postgres itself takes the statement's place. */
export function withoutCopyIn(frame: Frame): Buffer {
  if (frame.type !== 'Q' && frame.type !== 'P') return frame.bytes;
  const named = frame.type === 'P' ? frame.bytes.indexOf(0, 5) + 1 : 5;
  const start = frame.bytes.toString('utf8', named, named + 4096);
  if (!/^\s*copy\s[^;]*\sfrom\s+stdin\b/i.test(start)) return frame.bytes;
  if (frame.type === 'Q') return queryMessage(REFUSE_COPY);
  const name = frame.bytes.subarray(5, named);
  return message('P', Buffer.concat([name, Buffer.from(`${REFUSE_COPY}\0`), Buffer.alloc(2)]));
}

/** Reads the server's answers, in whatever pieces, and returns the message of a PANIC: after it nothing answers any more. */
export function createPanicWatch(): (data: Uint8Array) => string | undefined {
  let skip = 0;
  /** The first bytes of a header that a piece was cut in. */
  let head = Buffer.alloc(0);
  return (data) => {
    const piece = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const bytes = head.length === 0 ? piece : Buffer.concat([head, piece]);
    let at = skip;
    while (at + 5 <= bytes.length) {
      const end = at + 1 + bytes.readInt32BE(at + 1);
      if (bytes[at] === 0x45) {
        const fields = bytes.toString('utf8', at + 5, end).split('\0');
        if (fields.includes('VPANIC')) return fields.find((field) => field.startsWith('M'))?.slice(1) ?? 'PANIC';
      }
      at = end;
    }
    // The data is a view that the next call overwrites: what is kept is copied.
    head = at < bytes.length ? Buffer.from(bytes.subarray(at)) : Buffer.alloc(0);
    skip = Math.max(0, at - bytes.length);
    return undefined;
  };
}
