import { parseArgs } from 'node:util';
import { ConfigurationError } from '../../errors.ts';

export const mcpHelp = `Serves a mirror to AI assistants over the Model Context Protocol, on standard input and output. They can list tables,
look at columns with their choices and references, and run queries that only read.

  dataverse-sqlite-sync mcp MIRROR [--max-rows N] [--timeout SECONDS]

  MIRROR              a SQLite file, the address of GET /api/database, or the address of the blob
  --max-rows N        the most rows of an answer (default: 200)
  --timeout SECONDS   a query that takes longer is stopped (default: 15)
  --sign-in           sign in to Blob storage: the Azure CLI, a managed identity, or AZURE_ environment variables
  --help

The function key is read from MIRROR_FUNCTION_KEY. The assistant sees every row of the mirror: give it a mirror of what it may
see.`;

export interface McpOptions {
  mirror: string;
  maxRows: number;
  timeoutMs: number;
  signIn: boolean;
}

/** @throws ConfigurationError, and the errors of `parseArgs` */
export function parseMcpOptions(args: readonly string[]): McpOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      'max-rows': { type: 'string', default: '200' },
      timeout: { type: 'string', default: '15' },
      'sign-in': { type: 'boolean', default: false },
    },
  });
  const [mirror, ...more] = positionals;
  if (mirror === undefined || more.length > 0) {
    throw new ConfigurationError('Name one mirror.', {
      operation: 'read the options',
      hint: 'For example: dataverse-sqlite-sync mcp my.db',
    });
  }
  const number = (name: 'max-rows' | 'timeout', greatest: number): number => {
    const value = Number(values[name]);
    if (value > 0 && value <= greatest) return value;
    throw new ConfigurationError(`--${name} is not a number up to ${greatest}: ${values[name]}`, {
      operation: 'read the options',
      hint: 'Leave it out for the default.',
    });
  };
  return {
    mirror,
    maxRows: Math.ceil(number('max-rows', 10_000)),
    timeoutMs: number('timeout', 600) * 1000,
    signIn: values['sign-in'],
  };
}
