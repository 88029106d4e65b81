import { describeError } from '../errors.ts';

/**
 * Runs a command: errors become one message with its hint and exit status 1, a wrong option the help text and
 * status 2. The command itself says `false` for status 1.
 */
export async function runCommand(help: string, command: () => Promise<boolean>): Promise<void> {
  try {
    if (!(await command())) process.exitCode = 1;
  } catch (error) {
    const { message, hint } = describeError(error);
    const isUsage = String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
    console.error(message);
    if (isUsage || hint !== undefined) console.error(isUsage ? `\n${help}` : hint);
    process.exitCode = isUsage ? 2 : 1;
  }
}
