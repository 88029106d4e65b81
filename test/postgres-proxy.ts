import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Before the server has the statement, or after its work but before its answer. */
export type Cut = 'before' | 'after';

export interface PostgresProxy {
  /** The connection string of the database through the proxy. */
  address: string;
  /**
   * Decides about each statement of each connection.
   * @param sql its text; empty for the end of the rows of a COPY
   */
  onStatement: (sql: string) => Cut | undefined;
  stop(): Promise<void>;
}

/**
 * Stands between a client and PostgreSQL, and cuts connections at statements (postgresql.org: Message Formats). A statement
 * goes on once all of its messages are there.
 */
export async function startPostgresProxy(address: string): Promise<PostgresProxy> {
  const url = new URL(address);
  const target = join(url.searchParams.get('host')!, '.s.PGSQL.5432');
  const folder = mkdtempSync(join(tmpdir(), 'proxy-'));
  url.searchParams.set('host', folder);
  const sockets = new Set<Socket>();
  const proxy: PostgresProxy = {
    address: url.href,
    onStatement: () => undefined,
    stop: () => stop(server, sockets, folder),
  };
  const server = createServer((client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    pass(client, upstream, (sql) => proxy.onStatement(sql));
  });
  await new Promise<void>((resolve) => server.listen(join(folder, '.s.PGSQL.5432'), resolve));
  server.unref();
  return proxy;
}

async function stop(server: Server, sockets: ReadonlySet<Socket>, folder: string): Promise<void> {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
}

function pass(client: Socket, upstream: Socket, decide: (sql: string) => Cut | undefined): void {
  const fromClient = new Messages(false);
  const fromServer = new Messages(true);
  let sql = '';
  let held: Buffer[] = [];
  let isCut = false;
  client.on('data', (bytes) => {
    for (const { type, body, all } of fromClient.add(bytes)) {
      if (type === 'P' || type === 'Q') sql = textIn(body, type);
      held.push(all);
      const isStatement = type === 'Q' || type === 'S' || type === 'c';
      // Rows of a COPY go on at once.
      if (['P', 'B', 'D', 'E'].includes(type)) continue;
      const cut = isStatement ? decide(type === 'c' ? '' : sql) : undefined;
      if (cut === 'before') return void client.destroy();
      isCut ||= cut === 'after';
      upstream.write(Buffer.concat(held));
      held = [];
    }
  });
  upstream.on('data', (bytes) => {
    if (!isCut) client.write(bytes);
    // Ready, done, failed, or waiting for the rows of a COPY.
    const isAnswered = fromServer.add(bytes).some(({ type }) => ['Z', 'C', 'E', 'G'].includes(type));
    if (isCut && isAnswered) client.destroy();
  });
}

/** The text of a statement: after the name of a prepared one, which has to be empty. */
function textIn(body: Buffer, type: string): string {
  const [first = '', second = ''] = body.toString('utf8').split('\0');
  if (type === 'Q') return first;
  if (first !== '') throw new Error(`a prepared statement has the name ${first}`);
  return second;
}

interface Message {
  /** Empty for the first one of a client, which has no type. */
  type: string;
  body: Buffer;
  all: Buffer;
}

class Messages {
  #rest = Buffer.alloc(0);
  #isTyped: boolean;

  constructor(isTyped: boolean) {
    this.#isTyped = isTyped;
  }

  add(bytes: Buffer): Message[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const found: Message[] = [];
    for (;;) {
      const start = this.#isTyped ? 1 : 0;
      if (this.#rest.length < start + 4) return found;
      const end = start + this.#rest.readInt32BE(start);
      if (this.#rest.length < end) return found;
      const all = this.#rest.subarray(0, end);
      found.push({ type: all.toString('latin1', 0, start), body: all.subarray(start + 4), all });
      this.#rest = this.#rest.subarray(end);
      this.#isTyped = true;
    }
  }
}
