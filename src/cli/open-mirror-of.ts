import type { Mirror, MirrorOptions } from '../mirror/mirror.ts';
import { isBlobAddress, openMirror } from '../mirror/open-mirror.ts';

/** Opens the mirror that a command names. @param signIn with the identity that `@azure/identity` finds */
export async function openMirrorOf(
  from: string,
  signIn: boolean,
  options: MirrorOptions = {},
): Promise<Mirror> {
  const functionKey = process.env['MIRROR_FUNCTION_KEY'];
  return openMirror(from, {
    ...options,
    // The key of an app opens no blob.
    ...(functionKey !== undefined && !isBlobAddress(from) && { functionKey }),
    ...(signIn && { credential: await storageCredential() }),
  });
}

async function storageCredential() {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential();
}
