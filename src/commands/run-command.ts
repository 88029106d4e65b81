import { keepLoopbackDirect } from '../config/proxy-environment.ts';
import { describeError } from '../errors.ts';
import { redactSdkLog } from '../telemetry/sdk-log.ts';

/**
 * Runs a command and sets the exit status: 1 when it throws or returns `false`, 2 for an unknown option.
 * An error is printed as one message with its hint, an unknown option with the help text.
 */
export async function runCommand(help: string, command: () => Promise<boolean>): Promise<void> {
  keepLoopbackDirect();
  redactSdkLog();
  try {
    if (process.argv.includes('--help')) console.log(help);
    else if (!(await command())) process.exitCode = 1;
  } catch (error) {
    const { message, hint } = describeError(error);
    const isUsage = String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
    console.error(message);
    if (isUsage || hint !== undefined) console.error(isUsage ? `\n${help}` : hint);
    process.exitCode = isUsage ? 2 : 1;
  }
}
