import { posix } from 'node:path';
import * as z from 'zod';
import { ConfigurationError } from '../errors.ts';
import { readTextFile } from './read-text.ts';
import type { Settings } from './settings.ts';
import { isReservedBlob } from './storage-settings.ts';
import { intervalPattern, wholeTableStrategies } from './strategies.ts';
import { typeFault } from './type-faults.ts';

const logicalName = z
  .string()
  .regex(
    /^[a-z_][a-z0-9_]*$/,
    "must be a logical name: lower-case letters, digits and underscores, such as 'account' or 'new_project'",
  )
  // Objects by logical name have members of these names already. No table of Dataverse has one of them.
  .refine((name) => !(name in Object.prototype), 'must be the logical name of a table');

const column = z.string().min(1);

/** What `database` can be. Lower case, because file systems and readers may ignore the case of names. */
export const databasePattern = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

/** One entry of entities.json in its long form. */
const entityObject = z.strictObject({
  name: logicalName.describe('Logical name of the table in Dataverse: account, not accounts.'),
  filtered: z
    .boolean()
    .default(false)
    .describe('Keep only rows that other synced rows refer to, instead of the whole table.'),
  strategy: z
    .enum(wholeTableStrategies)
    .optional()
    .describe('How changes are found. By default the metadata decides.'),
  deletes: z
    .enum(['remove', 'mark'])
    .default('remove')
    .describe('What happens to a row deleted in Dataverse: remove it, or keep it and set _deleted_at.'),
  massDeleteLimit: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'Largest share of the table that one run may delete, from 0 to 1. A run that would delete more deletes nothing and reports the table.',
    ),
  reconcileEvery: z
    .union(
      [z.int().min(0), z.string().regex(intervalPattern)],
      'must be a time such as "30m", "1h" or "1d", or a whole number of runs',
    )
    .optional()
    .describe(
      'For tables without change tracking: compare all keys this often, as a time ("30m", "1h", "1d"; "0s" = in every run) or in every Nth run (0 = only once a day, see SYNC_VERIFY_HOURS). By default SYNC_RECONCILE_EVERY.',
    ),
  verifyHours: z
    .number()
    .min(0)
    .max(8760)
    .optional()
    .describe(
      'Compare all rows with Dataverse at least this often, in hours (0 = never). By default SYNC_VERIFY_HOURS.',
    ),
  history: z.boolean().default(false).describe('Keep every version of each row in <table>_history.'),
  rawJson: z
    .boolean()
    .default(false)
    .describe('Keep the JSON of each record, as received, in the column _json.'),
  decimals: z
    .enum(['real', 'text'])
    .optional()
    .describe(
      'How decimals and amounts of money are stored: as SQLite numbers, which are rounded to 15 digits, or as texts with every digit. By default SYNC_DECIMALS.',
    ),
  files: z
    .boolean()
    .default(false)
    .describe(
      'Download the contents of file and image columns into blobs next to the database and list them in _files.',
    ),
  columns: z
    .strictObject({ include: z.array(column).min(1).optional(), exclude: z.array(column).min(1).optional() })
    .refine((value) => !(value.include && value.exclude), 'must have include or exclude, not both')
    .optional()
    .describe('Which columns are mirrored. The key and the columns that the sync itself needs always are.'),
  database: z
    .string()
    .regex(
      databasePattern,
      "must have 1 to 64 lower-case letters, digits and hyphens, such as 'sales', without a hyphen at an end",
    )
    // Objects by the name of a database have such members already.
    .refine((name) => !(name in Object.prototype), 'must be another name')
    .optional()
    .describe(
      'The database file that has the table: "sales" is sales.db next to the default one, which has all tables without this option.',
    ),
});

const entry = z.union([logicalName, entityObject]);
const list = z.array(entry).min(1);

/** The shape of entities.json: a list, or an object with the list and a `$schema` for editors. */
const entitiesFile = z.union([list, z.strictObject({ $schema: z.string().optional(), entities: list })]);

/** One configured table, with defaults applied. */
export type TableConfig = z.infer<typeof entityObject>;

/**
 * Validates the content of entities.json.
 * @returns the configured tables in the file's order
 * @throws ConfigurationError that names the invalid entry
 */
export function parseEntities(content: unknown, file = 'entities.json'): TableConfig[] {
  const fail = (message: string, hint: string): never => {
    throw new ConfigurationError(`${file}: ${message}`, { operation: `read ${file}`, object: file, hint });
  };
  const items = Array.isArray(content) ? content : readMembers(content, fail);
  if (items.length === 0)
    fail('the list of entities is empty.', 'Name at least one table by its logical name, such as "account".');

  const seen = new Map<string, number>();
  return items.map((item, index) => {
    const parsed = entityObject.safeParse(typeof item === 'string' ? { name: item } : item, {
      reportInput: true,
    });
    const label = entryLabel(item, index);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      if (issue.code === 'unrecognized_keys') {
        fail(
          `${label} has an unknown key: ${issue.keys.join(', ')}.`,
          `Known keys are ${Object.keys(entityObject.shape).join(', ')}.`,
        );
      }
      const at = issue.path.length > 0 && typeof item !== 'string' ? ` ${issue.path.join('.')}` : '';
      fail(
        `${label}:${at} ${typeFault(issue) ?? issue.message}.`,
        'An entry must be a logical name, or an object with name and options.',
      );
    }
    const config = parsed.data!;
    const first = seen.get(config.name);
    if (first !== undefined) {
      fail(
        `${label} is a duplicate: entry ${first + 1} already names ${config.name}.`,
        'Remove one of them.',
      );
    }
    seen.set(config.name, index);
    return config;
  });
}

function readMembers(content: unknown, fail: (message: string, hint: string) => never): unknown[] {
  const hint = 'It must contain a list such as ["account", "contact"], or { "entities": [ … ] }.';
  if (typeof content !== 'object' || content === null) return fail('the content must be a list.', hint);
  const unknown = Object.keys(content).filter((key) => key !== '$schema' && key !== 'entities');
  if (unknown.length > 0) return fail(`unknown key: ${unknown.join(', ')}.`, hint);
  const { entities } = content as { entities?: unknown };
  return Array.isArray(entities) ? entities : fail('"entities" must be a list.', hint);
}

function entryLabel(item: unknown, index: number): string {
  const name = typeof item === 'string' ? item : (item as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? `entry ${index + 1} (${name})` : `entry ${index + 1}`;
}

/** Checks that no table names the default database, which tables without `database` are in, or another blob. */
function checkDatabases(configs: readonly TableConfig[], file: string, databaseName: string): void {
  const { name } = posix.parse(databaseName.toLowerCase());
  const { dir, ext } = posix.parse(databaseName);
  for (const { name: table, database } of configs) {
    // As `databaseFileOf` names it.
    const blob = posix.join(dir, `${database}${ext}`);
    if (database === undefined || !isReservedBlob(blob)) continue;
    throw new ConfigurationError(
      `${file}: the database of ${table} would be ${blob}, another blob of the sync.`,
      {
        operation: `read ${file}`,
        object: file,
        hint: `Give the database of ${table} another name than ${database}.`,
      },
    );
  }
  const wrong = configs.find(({ database }) => database === name);
  if (wrong === undefined) return;
  throw new ConfigurationError(`${file}: the database of ${wrong.name} is called like the default one.`, {
    operation: `read ${file}`,
    object: file,
    hint: `Remove "database" from ${wrong.name}, or give the database another name than ${name}.`,
  });
}

/**
 * Reads and validates entities.json.
 * @param databaseName the file of the default database: SYNC_DATABASE_NAME
 * @throws ConfigurationError if the file is missing, not JSON or invalid
 */
export function readEntities(path: string, databaseName = 'dataverse.db'): TableConfig[] {
  let content: unknown;
  try {
    content = JSON.parse(readTextFile(path));
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ConfigurationError(
      isMissing ? `${path} not found.` : `${path} is not valid JSON: ${(cause as Error).message}`,
      {
        operation: `read ${path}`,
        object: path,
        cause,
        hint: 'The file lists the tables to mirror by logical name: ["account", "contact"].',
      },
    );
  }
  const configs = parseEntities(content, path);
  checkDatabases(configs, path, databaseName);
  return configs;
}

/**
 * The tables of the file that the settings name.
 * @throws ConfigurationError as `readEntities`, and if a table names a database file while the mirror is in PostgreSQL
 */
export function entitiesOf({
  entitiesFile,
  databaseName,
  postgres,
}: Pick<Settings, 'entitiesFile' | 'databaseName' | 'postgres'>): TableConfig[] {
  const configs = readEntities(entitiesFile, databaseName);
  const wrong = postgres && configs.find(({ database }) => database !== undefined);
  if (wrong === undefined) return configs;
  throw new ConfigurationError(
    `${entitiesFile}: ${wrong.name} is to be in the database file ${wrong.database}, but SYNC_TARGET is postgres.`,
    {
      operation: `read ${entitiesFile}`,
      object: entitiesFile,
      hint: 'Remove "database" from all tables: in PostgreSQL they are in one schema, which has no limit.',
    },
  );
}

/** The tables with the defaults that settings give. */
export function withDefaults(
  tables: readonly TableConfig[],
  { decimals }: { decimals: 'real' | 'text' },
): TableConfig[] {
  // Left out where it is the default of the code, so that the digest of the configuration stays the same.
  return decimals === 'real'
    ? [...tables]
    : tables.map((table) => ({ ...table, decimals: table.decimals ?? decimals }));
}

/** The JSON Schema of entities.json for editors. A test keeps `entities.schema.json` equal to it. */
export function entitiesJsonSchema(): unknown {
  return {
    title: 'entities.json of dataverse-sqlite-sync',
    ...z.toJSONSchema(entitiesFile, { io: 'input' }),
  };
}
