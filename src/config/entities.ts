import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigurationError } from '../errors.ts';

const logicalName = z
  .string()
  .regex(
    /^[a-z_][a-z0-9_]*$/,
    "is no logical name: lower case, digits and underscores, such as 'account' or 'new_project'",
  );

const column = z.string().min(1);

/** One entry of entities.json in its long form. */
const entityObject = z.strictObject({
  name: logicalName.describe("The table's logical name, as in Dataverse: account, not accounts."),
  filtered: z
    .boolean()
    .default(false)
    .describe('Keep only rows that other synced rows refer to, instead of the whole table.'),
  strategy: z
    .enum(['delta', 'modifiedon', 'full'])
    .optional()
    .describe('How changes are found. Normally chosen from the metadata.'),
  deletes: z
    .enum(['remove', 'mark'])
    .default('remove')
    .describe(
      'What happens to a row that was deleted in Dataverse: remove it, or keep it with _deleted_at set.',
    ),
  massDeleteLimit: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'The share of the table that one run may delete; beyond it nothing is deleted and the entity is reported.',
    ),
  reconcileEvery: z
    .int()
    .min(0)
    .optional()
    .describe(
      'For tables without change tracking: compare all keys every so many runs (1 = each run, 0 = never).',
    ),
  history: z.boolean().default(false).describe('Keep every version of each row in <table>_history.'),
  rawJson: z.boolean().default(false).describe('Keep each record as it was sent, in the column _json.'),
  files: z
    .boolean()
    .default(false)
    .describe(
      'Fetch the contents of file and image columns into blobs beside the database, listed in _files.',
    ),
  columns: z
    .strictObject({ include: z.array(column).min(1).optional(), exclude: z.array(column).min(1).optional() })
    .refine((value) => !(value.include && value.exclude), 'give include or exclude, not both')
    .optional()
    .describe('Which columns are mirrored. The key and the columns that the sync needs always are.'),
});

const entry = z.union([logicalName, entityObject]);
const list = z.array(entry).min(1);

/** The shape of entities.json: a list, or an object that holds the list beside a `$schema` for editors. */
export const entitiesFile = z.union([
  list,
  z.strictObject({ $schema: z.string().optional(), entities: list }),
]);

/** One configured table with all defaults filled in. */
export type TableConfig = z.infer<typeof entityObject>;

/**
 * Checks the content of entities.json.
 * @returns the configured tables in the file's order
 * @throws ConfigurationError with one message that names the entry at fault
 */
export function parseEntities(content: unknown, file = 'entities.json'): TableConfig[] {
  const fail = (message: string, hint: string): never => {
    throw new ConfigurationError(`${file}: ${message}`, { operation: `read ${file}`, object: file, hint });
  };
  const items = Array.isArray(content) ? content : membersOf(content, fail);
  if (items.length === 0)
    fail('the list of entities is empty.', 'Name at least one table by its logical name, such as "account".');

  const seen = new Map<string, number>();
  return items.map((item, index) => {
    const parsed =
      typeof item === 'string' ? entityObject.safeParse({ name: item }) : entityObject.safeParse(item);
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
        `${label}:${at} ${issue.message}.`,
        'An entry is a logical name, or an object with name and options.',
      );
    }
    const config = parsed.data!;
    const first = seen.get(config.name);
    if (first !== undefined) {
      fail(`${label} is a duplicate: ${config.name} is entry ${first + 1} already.`, 'Keep one of the two.');
    }
    seen.set(config.name, index);
    return config;
  });
}

function membersOf(content: unknown, fail: (message: string, hint: string) => never): unknown[] {
  const hint = 'It must hold a list such as ["account", "contact"], or { "entities": [ … ] }.';
  if (typeof content !== 'object' || content === null) return fail('it holds no list.', hint);
  const unknown = Object.keys(content).filter((key) => key !== '$schema' && key !== 'entities');
  if (unknown.length > 0) return fail(`unknown key: ${unknown.join(', ')}.`, hint);
  const { entities } = content as { entities?: unknown };
  return Array.isArray(entities) ? entities : fail('"entities" is no list.', hint);
}

function entryLabel(item: unknown, index: number): string {
  const name = typeof item === 'string' ? item : (item as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? `entry ${index + 1} (${name})` : `entry ${index + 1}`;
}

/**
 * Reads entities.json.
 * @throws ConfigurationError where the file is absent, no JSON, or wrong
 */
export function readEntities(path: string): TableConfig[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''));
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ConfigurationError(
      absent ? `There is no ${path}.` : `${path} is not valid JSON: ${(cause as Error).message}`,
      {
        operation: `read ${path}`,
        object: path,
        cause,
        hint: 'It lists the tables to mirror by logical name: ["account", "contact"].',
      },
    );
  }
  return parseEntities(content, path);
}

/** The JSON Schema of entities.json for editors; `entities.schema.json` holds it, and a test keeps the two equal. */
export function entitiesJsonSchema(): unknown {
  return {
    title: 'entities.json of dataverse-sqlite-sync',
    ...z.toJSONSchema(entitiesFile, { io: 'input' }),
  };
}
