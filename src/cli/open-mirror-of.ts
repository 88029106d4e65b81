import type { Mirror } from '../mirror/mirror.ts';
import { openMirror } from '../mirror/open-mirror.ts';

/** Opens the mirror that a command names. @param signIn with the identity that `@azure/identity` finds */
export async function openMirrorOf(from: string, signIn: boolean): Promise<Mirror> {
  const functionKey = process.env['MIRROR_FUNCTION_KEY'];
  return openMirror(from, {
    ...(functionKey !== undefined && { functionKey }),
    ...(signIn && { credential: await storageCredential() }),
  });
}

async function storageCredential() {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential();
}
