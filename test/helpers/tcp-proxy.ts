import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { WireReader } from './wire-reader.ts';

/** A network between a client and its Postgres that misbehaves when it is told to. */
export interface TcpProxy {
  /** The same URL, by way of this proxy. */
  through(url: string): string;
  connections(): number;
  /** Cuts every connection with RST, at both ends. */
  reset(): void;
  /** Swallows nothing and forwards nothing, in both directions, until `thaw`; new connections are taken and get no answer. */
  freeze(): void;
  thaw(): void;
  /** The server's ends are cut; the clients are not told and wait. New connections work. */
  halfOpen(): void;
  /** Lets the next statement that matches reach the server, waits for its whole answer, keeps that to itself and cuts the connection. */
  lose(options: LossOptions): { readonly happened: () => boolean; cancel(): void };
  close(): Promise<void>;
}

export interface LossOptions {
  readonly statement: RegExp;
  /** Only in a transaction in which this was sent before. */
  readonly after?: RegExp;
  /** What does not arrive: the statement, or the answer to it. */
  readonly what: 'statement' | 'answer';
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** What goes one way or the other is kept back. */
  losing: LossOptions['what'] | undefined;
  abandoned: boolean;
}

interface Loss extends LossOptions {
  readonly prepared: Set<Link>;
  happened: boolean;
}

/** @param target a Postgres URL, of which host and port are taken */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const links = new Set<Link>();
  let frozen = false;
  let loss: Loss | undefined;
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname);
    const link: Link = { client, server, losing: undefined, abandoned: false };
    links.add(link);
    const reader = new WireReader((text) => {
      if (loss === undefined || loss.happened) return;
      if (/^(BEGIN|ROLLBACK)/.test(text)) loss.prepared.delete(link);
      if (loss.after?.test(text) === true) loss.prepared.add(link);
      if (!loss.statement.test(text) || (loss.after !== undefined && !loss.prepared.has(link))) return;
      loss.happened = true;
      link.losing = loss.what;
    });
    client.on('data', (chunk) => {
      reader.push(chunk);
      if (link.losing === 'statement') cut(link);
      else if (!server.destroyed) server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (link.losing === undefined) client.write(chunk);
      else if (endsReady(chunk)) cut(link);
    });
    for (const socket of [client, server]) socket.setNoDelay(true).on('error', () => undefined);
    client.on('close', () => {
      server.destroy();
      links.delete(link);
    });
    server.on('close', () => {
      if (!link.abandoned) client.destroy();
    });
    if (frozen) pause(link);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const own = (proxy.address() as AddressInfo).port;

  return {
    through(url) {
      const changed = new URL(url);
      changed.host = `127.0.0.1:${own}`;
      return changed.href;
    },
    connections: () => links.size,
    reset: () => links.forEach(cut),
    freeze() {
      frozen = true;
      links.forEach(pause);
    },
    thaw() {
      frozen = false;
      for (const { client, server } of links) {
        client.resume();
        server.resume();
      }
    },
    halfOpen() {
      for (const link of links) {
        link.abandoned = true;
        link.server.resetAndDestroy();
      }
    },
    lose(options) {
      const mine: Loss = { ...options, prepared: new Set(), happened: false };
      loss = mine;
      return {
        happened: () => mine.happened,
        cancel() {
          if (loss === mine) loss = undefined;
        },
      };
    },
    async close() {
      links.forEach(cut);
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

function cut({ client, server }: Link): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}

function pause({ client, server }: Link): void {
  client.pause();
  server.pause();
}

/** ReadyForQuery is the last message of an answer: `Z`, the length 5, the transaction's state. */
function endsReady(chunk: Buffer): boolean {
  const at = chunk.length - 6;
  return at >= 0 && chunk[at] === 0x5a && chunk.readUInt32BE(at + 1) === 5;
}
