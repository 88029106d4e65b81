/** The commands, and how each one is loaded: none loads what only others need. */
export interface Command {
  summary: string;
  /** Runs the command with the arguments behind its name. @returns the exit status */
  run: (args: readonly string[]) => Promise<number>;
  help: () => Promise<string>;
}

export const commands: Readonly<Record<string, Command>> = {
  sync: {
    summary: 'read tables of Dataverse into a SQLite file',
    run: async (args) => (await import('./sync/sync-command.ts')).sync(args),
    help: async () => (await import('./sync/sync-options.ts')).syncHelp,
  },
  query: {
    summary: 'run SQL over a mirror: a file, or one behind an address',
    run: async (args) => (await import('./query/query-command.ts')).query(args),
    help: async () => (await import('./query/query-options.ts')).queryHelp,
  },
};
