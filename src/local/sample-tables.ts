import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../errors.ts';

/** How many tables of a `$metadata` document are synced without `--entities`. */
const COUNT = 20;

/**
 * Returns the logical names of the first tables of a `$metadata` document that have a `modifiedon` column and a
 * single-column key.
 *
 * @throws ConfigurationError if the document cannot be read or has no such table
 */
export async function firstTables(metadataFile: string): Promise<string[]> {
  const [{ parseCsdl }, { CsdlIndex }] = await Promise.all([
    import('../schema/csdl.ts'),
    import('../schema/csdl-index.ts'),
  ]);
  const csdl = parseCsdl(await read(metadataFile));
  const index = CsdlIndex.of(csdl);
  const names = csdl.entitySets
    .map(({ entityType }) => entityType)
    .filter((name) => index.type(name)?.abstract === false && index.properties(name).has('modifiedon'))
    .filter((name) => index.key(name).length === 1);
  if (names.length === 0) {
    throw new ConfigurationError(`${metadataFile} has no table with a modifiedon column`, {
      object: metadataFile,
      hint: 'Choose the tables with --entities.',
    });
  }
  return [...new Set(names)].slice(0, COUNT);
}

/** The logical names of the tables in an entities file. The app itself reports any other fault in the file. */
export async function tablesOf(entitiesFile: string): Promise<string[]> {
  const { readEntities } = await import('../config/entities.ts');
  return readEntities(entitiesFile).map(({ name }) => name);
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new ConfigurationError(`Cannot read ${file}: ${(cause as Error).message}`, {
      object: file,
      hint: '--metadata takes the path of a $metadata document.',
      cause,
    });
  }
}
