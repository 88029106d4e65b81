/**
 * Lets a process of a test take its modules from the cache of compiled ones, of which an environment that is made from
 * nothing knows nothing: a process that loads TypeScript starts in half the time.
 */
export const compileCache: Record<string, string> =
  process.env['NODE_COMPILE_CACHE'] === undefined
    ? {}
    : { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };
