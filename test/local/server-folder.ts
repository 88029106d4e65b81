import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Deletes the PostgreSQL server of a data folder of `npm start`. That of root is in a folder of its own. */
export async function removeServer(data: string): Promise<void> {
  const text = await readFile(join(data, 'local.json'), 'utf8').catch(() => '{}');
  const { postgres } = JSON.parse(text) as { postgres?: { folder: string } };
  if (postgres !== undefined) await rm(postgres.folder, { recursive: true, force: true, maxRetries: 5 });
}
