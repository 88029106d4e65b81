import type { Command } from './command.ts';

/** A command that says whether all is done. */
interface Module {
  help: string;
  run: (args: readonly string[]) => Promise<boolean>;
}

function command(summary: string, load: () => Promise<Module>): Command {
  return {
    summary,
    run: async (args) => ((await (await load()).run(args)) ? 0 : 1),
    help: async () => (await load()).help,
  };
}

/** The commands. None loads what only others need. */
export const commands: Readonly<Record<string, Command>> = {
  sync: {
    summary: 'read tables of Dataverse into a SQLite file',
    needsSqlite: true,
    run: async (args) => (await import('./sync/sync-command.ts')).sync(args),
    help: async () => (await import('./sync/sync-options.ts')).syncHelp,
  },
  check: {
    summary: 'check what a sync needs: sign-in, privileges, tables; and what it will read',
    run: async (args) => (await import('./check/check-command.ts')).check(args),
    help: async () => (await import('./check/check-command.ts')).checkHelp,
  },
  query: {
    summary: 'run SQL over a mirror: a file, or one behind an address',
    run: async (args) => (await import('./query/query-command.ts')).query(args),
    help: async () => (await import('./query/query-options.ts')).queryHelp,
  },
  verify: {
    summary: 'check all of a mirror: pages, indexes, row counts, references',
    needsSqlite: true,
    run: async (args) => (await import('./verify/verify-command.ts')).verify(args),
    help: async () => (await import('./verify/verify-command.ts')).verifyHelp,
  },
  types: {
    summary: 'write TypeScript types of tables',
    run: async (args) => (await import('./types/types-command.ts')).types(args),
    help: async () => (await import('./types/types-command.ts')).typesHelp,
  },
  mcp: {
    summary: 'serve a mirror to AI assistants over the Model Context Protocol',
    run: async (args) => (await import('./mcp/mcp-command.ts')).mcp(args),
    help: async () => (await import('./mcp/mcp-options.ts')).mcpHelp,
  },
  restore: command(
    'go back to an earlier state of the database of a functions app',
    () => import('../commands/restore.ts'),
  ),
  move: command(
    'move the mirror of a functions app to PostgreSQL, or back to a file',
    () => import('../commands/move.ts'),
  ),
  provision: command(
    'create the table of campaign metrics in Dataverse',
    () => import('../commands/provision.ts'),
  ),
  role: command(
    'print or create the security role with the least privileges',
    () => import('../commands/role.ts'),
  ),
  replay: command(
    'queue campaign metrics again that Dataverse rejected',
    () => import('../commands/replay.ts'),
  ),
  completion: {
    summary: 'print a script that completes commands and options in a shell',
    run: async (args) => (await import('./completion/completion-command.ts')).completion(args, commands),
    help: async () => (await import('./completion/completion.ts')).completionHelp,
  },
};
