import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFrameReader, type Frame, fatalMessage, withoutCopyIn } from './embedded-frames.ts';
import type { TurnClient, Turns } from './embedded-turns.ts';
import type { ConnectionSettings } from './types.ts';

const MAX_CONNECTIONS = 100;
/** What `pg` makes of a directory as host and this port: `<directory>/.s.PGSQL.5432`. */
const SOCKET_PORT = 5432;
const SOCKET_FILE = `.s.PGSQL.${SOCKET_PORT}`;
/** sun_path is 108 bytes on Linux, 104 on macOS. */
const LONGEST_PATH = 100;
/** These end a unit of the protocol: Query, Sync, FunctionCall, Flush. */
const ENDS_UNIT = 'QSFH';
/** CopyData, CopyDone, CopyFail: Postgres drops them too outside of a COPY. */
const COPY_MESSAGES = 'dcf';

/** Where the server listens; `directory` is private to this user and holds nothing but the socket. */
export interface SocketPlace {
  readonly directory: string | undefined;
  remove(): void;
}

/** A directory short enough for a socket's path; none on Windows, where loopback TCP takes its place. */
export function createSocketPlace(): SocketPlace {
  if (process.platform === 'win32') return { directory: undefined, remove: () => undefined };
  const parent = join(tmpdir(), 'reembed-XXXXXX', SOCKET_FILE).length > LONGEST_PATH ? '/tmp' : tmpdir();
  const directory = mkdtempSync(join(parent, 'reembed-'));
  chmodSync(directory, 0o700);
  return { directory, remove: () => removeSocketDirectory(directory) };
}

/** Removes what a dead process left; anything that is not a socket's directory stays as it is. */
export function removeSocketDirectory(directory: string): void {
  if (!/[\\/]reembed-[A-Za-z0-9]{6}$/.test(directory)) return;
  rmSync(directory, { recursive: true, force: true });
}

function serve(socket: Socket, turns: Turns): void {
  const read = createFrameReader();
  let unit: Buffer[] = [];
  const client: TurnClient = {
    send: (bytes) => void (socket.writable && socket.write(bytes)),
    fail: (reason) => void socket.end(fatalMessage('57P01', reason)),
  };

  function accept(frame: Frame): void {
    if (frame.kind === 'encryption') socket.write('N');
    else if (frame.kind === 'cancel' || frame.type === 'X') socket.end();
    else if (frame.kind === 'startup') {
      turns.join(client);
      turns.take(client, frame.bytes, false);
    } else if (!COPY_MESSAGES.includes(frame.type)) {
      unit.push(withoutCopyIn(frame));
      if (!ENDS_UNIT.includes(frame.type)) return;
      turns.take(client, Buffer.concat(unit), frame.type === 'H');
      unit = [];
    }
  }

  socket.setNoDelay(true);
  // Whoever waits for an answer keeps the process alive from its own end.
  socket.unref();
  socket.on('data', (chunk) => {
    try {
      for (const frame of read(chunk)) accept(frame);
    } catch {
      socket.destroy();
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => turns.leave(client));
}

async function listen(server: Server, place: SocketPlace): Promise<ConnectionSettings> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (place.directory === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(join(place.directory, SOCKET_FILE), resolve);
  });
  const address = server.address();
  const host = place.directory ?? '127.0.0.1';
  const port = typeof address === 'object' && address !== null ? address.port : SOCKET_PORT;
  return { host, port, user: 'postgres', password: '', database: 'postgres', embedded: true };
}

export interface SocketServer {
  readonly settings: ConnectionSettings;
  close(): Promise<void>;
}

/** Serves Postgres's protocol without encryption or password: the socket's directory is the user's own. */
export async function startSocketServer(turns: Turns, place: SocketPlace): Promise<SocketServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serve(socket, turns);
  });
  server.maxConnections = MAX_CONNECTIONS;
  const settings = await listen(server, place);
  server.unref();
  return {
    settings,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      await turns.settled();
    },
  };
}
