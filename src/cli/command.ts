/** A command of the command line. Its code is loaded when it is called. */
export interface Command {
  summary: string;
  /** Runs the command with the arguments behind its name. @returns the exit status */
  run: (args: readonly string[]) => Promise<number>;
  help: () => Promise<string>;
}
