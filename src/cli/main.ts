#!/usr/bin/env node
import module from 'node:module';
import { commands } from './command-list.ts';
import { runCli } from './run-cli.ts';

// Node.js 20 has none.
module.enableCompileCache?.();
// Exit explicitly: connections that are kept alive would keep the process running.
process.exit(await runCli(commands, process.argv.slice(2)));
