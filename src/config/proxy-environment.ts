/** As the Azure SDK compares them: the host of a URL, or the end of one after a dot. */
const loopbackHosts = ['localhost', '.localhost', '127.0.0.1', '[::1]', '::1'];

/**
 * Keeps requests to this machine away from a proxy: adds its names to `NO_PROXY`, if a proxy is set. A proxy cannot
 * reach the storage emulator or a sample Dataverse, which listen on this machine alone. Call it before any client is
 * created, because the Azure SDK reads the variable once.
 */
export function keepLoopbackDirect(env: Record<string, string | undefined> = process.env): void {
  const isSet = (name: string): boolean => Boolean(env[name] || env[name.toLowerCase()]);
  if (!['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].some(isSet)) return;
  const given = (env['NO_PROXY'] || env['no_proxy'] || '').split(',').map((host) => host.trim());
  const all = [...new Set([...given.filter((host) => host !== ''), ...loopbackHosts])].join(',');
  env['NO_PROXY'] = all;
  env['no_proxy'] = all;
}
