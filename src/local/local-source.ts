import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';
import { DEFAULT_ROWS, type StartOptions } from './start-options.ts';

/** Where the rows come from. A data folder belongs to one source, because its cursors are valid there only. */
export interface LocalSource {
  /** Names the source, for people and for comparison. Data folders store it: another text makes them unusable. */
  identity: string;
  /** Its default folder in `.data`. */
  folderName: string;
  /** Its rows are made anew at each start, so the default folder is emptied before. */
  isNew?: boolean;
}

const liveFolder = 'live';

/**
 * Another target has other cursors, so its folder is another one. `tables` are the tables that have rows if the sample Dataverse serves a real
 * metadata document.
 */
export function sourceOf(options: StartOptions, tables: readonly string[] | undefined): LocalSource {
  const source = rowsOf(options, tables);
  if (options.target === 'sqlite') return source;
  const { identity, folderName } = source;
  return { ...source, identity: `${identity}, mirrored in PostgreSQL`, folderName: `${folderName}-postgres` };
}

function rowsOf(options: StartOptions, tables: readonly string[] | undefined): LocalSource {
  if (options.dataverse !== undefined) {
    return { identity: options.dataverse, folderName: new URL(options.dataverse).host.replace(':', '-') };
  }
  if (options.metadata === undefined) {
    if (options.live) {
      const identity = `the sample Dataverse with ${options.rows} rows that keep changing`;
      return { identity, folderName: liveFolder, isNew: true };
    }
    const identity = `the sample Dataverse with ${options.rows} rows`;
    return { identity, folderName: options.rows === DEFAULT_ROWS ? 'sample' : `sample-${options.rows}` };
  }
  const digest = createHash('sha256').update(JSON.stringify(tables)).digest('hex').slice(0, 8);
  const name = basename(options.metadata, extname(options.metadata));
  return {
    identity: `the sample Dataverse with ${options.rows} rows for ${options.metadata} (${digest})`,
    folderName: `${name.replace(/[^\w.-]/g, '-')}-${options.rows}-${digest}`,
  };
}
