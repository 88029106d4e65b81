import { isBuiltin } from 'node:module';
import { keepLoopbackDirect } from '../config/proxy-environment.ts';
import { describeError, SyncError } from '../errors.ts';
import { printable } from '../safe-text.ts';
import { didYouMean } from '../schema/did-you-mean.ts';
import type { Command } from './command.ts';

/** Runs the command that the arguments name. Errors are printed. @returns the exit status */
export async function runCli(
  commands: Readonly<Record<string, Command>>,
  [name, ...args]: readonly string[],
): Promise<number> {
  if (name === undefined || name === '--help' || name === 'help') {
    const asked = name === 'help' ? args[0] : undefined;
    const shown = asked !== undefined && Object.hasOwn(commands, asked) ? commands[asked] : undefined;
    process.stdout.write(`${shown === undefined ? overview(commands) : await shown.help()}\n`);
    return name === undefined || (asked !== undefined && shown === undefined) ? 2 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const near = didYouMean(name, Object.keys(commands));
    process.stderr.write(
      `${printable(`There is no command ${name}${near || '.'}`)}\n\n${overview(commands)}\n`,
    );
    return 2;
  }
  if (args.includes('--help')) {
    process.stdout.write(`${await command.help()}\n`);
    return 0;
  }
  if (command.needsSqlite && !isBuiltin('node:sqlite')) {
    process.stderr.write(
      `Error: ${name} needs Node.js 22.13 or later. This is ${process.versions.node}.\n  → Install a later version.\n`,
    );
    return 1;
  }
  keepLoopbackDirect();
  (await import('../telemetry/sdk-log.ts')).redactSdkLog();
  try {
    return await command.run(args);
  } catch (error) {
    const { message, hint } = describeError(error);
    const isUsage = String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
    process.stderr.write(`Error: ${printable(message)}\n`);
    if (isUsage) process.stderr.write(`\n${await command.help()}\n`);
    else if (hint !== undefined) process.stderr.write(`  → ${printable(hint)}\n`);
    const isOption = error instanceof SyncError && error.operation === 'read the options';
    return isUsage || isOption ? 2 : 1;
  }
}

/** What there is, for people. */
export function overview(commands: Readonly<Record<string, Command>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: dataverse-sqlite-sync COMMAND [options]

${lines.join('\n')}

dataverse-sqlite-sync COMMAND --help explains a command.`;
}
