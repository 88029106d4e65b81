#!/usr/bin/env node
import module from 'node:module';
import { commands } from './command-list.ts';
import { runCli } from './run-cli.ts';

// Node.js 20 has none.
module.enableCompileCache?.();
for (const stream of [process.stdout, process.stderr]) {
  // Whoever read it, such as `head`, has enough.
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
}
const status = await runCli(commands, process.argv.slice(2));
// A pipe takes what is written when its reader reads.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise<void>((written) => stream.write('', () => written()));
}
// Exit explicitly: connections that are kept alive would keep the process running.
process.exit(status);
