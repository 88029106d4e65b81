import { resolve } from 'node:path';
import { parseEntities, readEntities, type TableConfig } from '../config/entities.ts';
import { readSettings, type Settings } from '../config/settings.ts';
import { ConfigurationError } from '../errors.ts';

/**
 * The settings of a command: those of the environment, without the storage and the target of the functions app.
 * @param dataverse the address, instead of DATAVERSE_URL
 * @throws ConfigurationError for invalid settings
 */
export function settingsOf(dataverse: string | undefined): Settings {
  const env: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (
      /^(?:DATAVERSE_|SYNC_)/.test(name) &&
      !/^SYNC_(?:DATABASE_(?:STORAGE|CONTAINER|NAME)|TARGET$)/.test(name)
    ) {
      env[name] = value;
    }
  }
  if (dataverse !== undefined) env['DATAVERSE_URL'] = dataverse;
  if (!env['DATAVERSE_URL']?.trim()) {
    throw new ConfigurationError('--dataverse is missing.', {
      operation: 'read the options',
      hint: 'Name the environment: --dataverse https://contoso.crm.dynamics.com, or set DATAVERSE_URL.',
    });
  }
  return readSettings({ ...env, AzureWebJobsStorage: 'UseDevelopmentStorage=true' });
}

/**
 * What reads the tables that a command is given, each time again.
 * @param databaseName the file of the default database
 * @throws ConfigurationError if neither or both are given; so does the function, for tables that are none, as for wrong options
 */
export function tablesReader(
  { tables, entities }: { tables?: string | undefined; entities?: string | undefined },
  databaseName?: string,
): () => TableConfig[] {
  if ((tables === undefined) === (entities === undefined)) {
    throw new ConfigurationError('Give either --tables or --entities.', {
      operation: 'read the options',
      hint: 'For example: --tables account,contact',
    });
  }
  return () => {
    try {
      return entities === undefined
        ? parseEntities(listOf(tables) ?? [], '--tables')
        : readEntities(resolve(entities), databaseName);
    } catch (cause) {
      if (!(cause instanceof ConfigurationError)) throw cause;
      const { message, object, hint } = cause;
      throw new ConfigurationError(message, { operation: 'read the options', object, hint, cause });
    }
  };
}

/** `account, contact` → `['account', 'contact']` */
export function listOf(text: string | undefined): string[] | undefined {
  return text
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
