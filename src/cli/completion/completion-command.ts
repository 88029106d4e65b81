import type { Command } from '../command.ts';
import { completionScript, optionsOf } from './completion.ts';

/** `dataverse-sqlite-sync completion SHELL`. @returns the exit status */
export async function completion(
  [shell]: readonly string[],
  commands: Readonly<Record<string, Command>>,
): Promise<number> {
  const all = await Promise.all(
    Object.entries(commands).map(async ([name, { summary, help }]) => ({
      name,
      summary,
      options: optionsOf(await help()),
    })),
  );
  process.stdout.write(completionScript(shell, all));
  return 0;
}
