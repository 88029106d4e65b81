#!/usr/bin/env node
import module from 'node:module';
import { commands } from './command-list.ts';
import { runCli } from './run-cli.ts';

// Node.js 20 has none.
module.enableCompileCache?.();
const args = process.argv.slice(2);
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exit(1);
    // Whoever reads answers, such as `head`, has enough. Other commands end what they do, and their status says how.
    if (args[0] === 'query' || args[0] === 'mcp') process.exit(0);
  });
}
const status = await runCli(commands, args);
// A pipe takes what is written when its reader reads.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise<void>((written) => stream.write('', () => written()));
}
// Exit explicitly: connections that are kept alive would keep the process running.
process.exit(status);
