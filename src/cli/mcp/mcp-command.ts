import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { openMirrorOf } from '../open-mirror-of.ts';
import { parseMcpOptions } from './mcp-options.ts';
import { createMcpServer } from './mcp-server.ts';

/** `dataverse-sqlite-sync mcp`: serves until standard input ends. @returns the exit status */
export async function mcp(args: readonly string[]): Promise<number> {
  const options = parseMcpOptions(args);
  const mirror = await openMirrorOf(options.mirror, options.signIn);
  try {
    const server = createMcpServer(mirror, options);
    const ended = new Promise<void>((done) => {
      process.stdin.once('end', done);
      process.stdin.once('close', done);
      server.server.onclose = done;
    });
    await server.connect(new StdioServerTransport());
    await ended;
    return 0;
  } finally {
    await mirror.close();
  }
}
