import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { openMirrorOf } from '../open-mirror-of.ts';
import { parseMcpOptions } from './mcp-options.ts';
import { createMcpServer } from './mcp-server.ts';

/** Memory of SQLite for one query, in bytes: an assistant cannot take the machine's. */
const maxQueryBytes = 256 * 1024 * 1024;

/** `dataverse-sqlite-sync mcp`: serves until standard input ends. @returns the exit status */
export async function mcp(args: readonly string[]): Promise<number> {
  const options = parseMcpOptions(args);
  const mirror = await openMirrorOf(options.mirror, options.signIn, { maxQueryBytes });
  try {
    const { server, idle } = createMcpServer(mirror, options);
    const ended = new Promise<void>((done) => {
      process.stdin.once('end', done);
      process.stdin.once('close', done);
      server.server.onclose = done;
    });
    await server.connect(new StdioServerTransport());
    await ended;
    // What was asked before the end is answered; the next turn of the loop writes it.
    await idle();
    await new Promise((done) => setImmediate(done));
    return 0;
  } finally {
    await mirror.close();
  }
}
