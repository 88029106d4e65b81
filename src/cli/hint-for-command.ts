/** What the sync tells the users of a functions app, as users of the command can do it. */
const translations: readonly [RegExp, string][] = [
  [
    /POST \/api\/sync with \{"allowMassDelete": \["(\w+)"\]\}/g,
    'run the command with --allow-mass-delete $1',
  ],
  [/POST \/api\/sync with \{"dropTables": \["(\w+)"\]\}/g, 'run the command with --drop $1'],
  [/POST \/api\/sync with \{"reread": \["(\w+)"\]\}/g, 'run the command with --reread $1'],
  [/The function app failed with an unexpected error\./g, 'The sync failed with an unexpected error.'],
  [
    /The log of the function app has the error\. Search it for [\w-]+\./g,
    'Run the command with --verbose to see it.',
  ],
  [/POST \/api\/sync(?! with)/g, 'the command'],
  [/npm run role\b/g, 'dataverse-sqlite-sync role'],
];

/** A message or hint of the sync for users of the command. @param tables whether `--tables` names them */
export function forCommand(text: string, { tables }: { tables: boolean }): string {
  const all = tables ? [...translations, [/entities\.json/g, '--tables'] as const] : translations;
  return all.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);
}
