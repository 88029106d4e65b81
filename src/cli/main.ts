#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { commands } from './command-list.ts';
import { runCli } from './run-cli.ts';

enableCompileCache();
// Exit explicitly: connections that are kept alive would keep the process running.
process.exit(await runCli(commands, process.argv.slice(2)));
