/**
 * The name of an environment is a part of names of queues and containers (lower case, no two hyphens in a row), of functions
 * and of addresses.
 */
const namePattern = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){1,19}$/;

/** Names that stand for something else in the pages and their addresses. */
const reserved = ['default', 'pages', 'dashboard', 'sync'];

/** Whether an environment can have this name. */
export function isEnvironmentName(name: string): boolean {
  return namePattern.test(name) && !reserved.includes(name);
}
