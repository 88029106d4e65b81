import { ConfigurationError } from '../../errors.ts';

const program = 'dataverse-sqlite-sync';

export const completionHelp = `Prints a script that completes commands and options in a shell.

  bash        eval "$(${program} completion bash)"          in ~/.bashrc
  zsh         eval "$(${program} completion zsh)"           in ~/.zshrc, after compinit
  fish        ${program} completion fish | source           in ~/.config/fish/config.fish
  powershell  ${program} completion powershell | Out-String | Invoke-Expression   in $PROFILE`;

export interface Completed {
  name: string;
  summary: string;
  /** With the hyphens: `--out`. */
  options: readonly string[];
}

/** The options that a help text explains. */
export function optionsOf(help: string): string[] {
  const named = help.split('\n').flatMap((line) => /^\s+(--[a-z][a-z-]*)/.exec(line)?.[1] ?? []);
  return [...new Set([...named, '--help'])];
}

/** @throws ConfigurationError for another shell */
export function completionScript(shell: string | undefined, commands: readonly Completed[]): string {
  if (shell === 'bash') return bash(commands);
  if (shell === 'zsh') return `autoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
  if (shell === 'fish') return fish(commands);
  if (shell === 'powershell') return powershell(commands);
  throw new ConfigurationError(
    shell === undefined ? 'Name a shell.' : `There is no completion for ${shell}.`,
    { operation: 'complete', hint: 'Choose bash, zsh, fish or powershell.' },
  );
}

function bash(commands: readonly Completed[]): string {
  const cases = commands.map(({ name, options }) => `    ${name}) words="${options.join(' ')}" ;;`);
  return `_dataverse_sqlite_sync() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} help" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words="" ;;
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _dataverse_sqlite_sync ${program}
`;
}

function fish(commands: readonly Completed[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap(({ name, summary, options }) => [
    `complete -c ${program} -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
    ...options.map(
      (option) => `complete -c ${program} -n '__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`,
    ),
  ]);
  return `${lines.join('\n')}\n`;
}

function powershell(commands: readonly Completed[]): string {
  const list = (texts: readonly string[]) => `@(${texts.map((text) => `'${text}'`).join(', ')})`;
  const options = commands.map(({ name, options: names }) => `    '${name}' = ${list(names)}`);
  return `Register-ArgumentCompleter -Native -CommandName ${program} -ScriptBlock {
  param($word, $ast, $position)
  $options = @{
${options.join('\n')}
  }
  $elements = @($ast.CommandElements | ForEach-Object { $_.ToString() })
  $isCommand = $elements.Count -le 1 -or ($elements.Count -eq 2 -and $word -ne '')
  $words = if ($isCommand) { ${list(commands.map(({ name }) => name))} } else { $options[$elements[1]] }
  $words | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}
