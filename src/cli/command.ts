/** A command of the command line. Its code is loaded when it is called. */
export interface Command {
  summary: string;
  /** Whether it needs `node:sqlite`, for its lock. */
  needsSqlite?: true;
  /** Runs the command with the arguments behind its name. @returns the exit status */
  run: (args: readonly string[]) => Promise<number>;
  help: () => Promise<string>;
}
