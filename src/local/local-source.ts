import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';
import { DEFAULT_ROWS, type StartOptions } from './start-options.ts';

/** Where the rows come from. A data folder belongs to one source: its cursors mean nothing to another. */
export interface LocalSource {
  /** Says what it is, for people, and tells sources apart. */
  identity: string;
  /** The folder in `.data` that it has by default. */
  folderName: string;
}

/** `tables` are those that the sample Dataverse makes rows for, where it serves a real document. */
export function sourceOf(options: StartOptions, tables: readonly string[] | undefined): LocalSource {
  if (options.dataverse !== undefined) {
    return { identity: options.dataverse, folderName: new URL(options.dataverse).host.replace(':', '-') };
  }
  if (options.metadata === undefined) {
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
