import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The notice that the licences of the bundled packages ask for: name, version, licence and its text, by name.
 * @param inputs paths of the bundled files, relative to `root`; files outside of node_modules are the app's own
 * @throws Error if a package names no licence
 */
export function thirdPartyNotices(root: string, inputs: string[]): string {
  const folders = new Set(inputs.map((path) => packageFolder(path)).filter((path) => path !== undefined));
  // Many packages have the same text, and one version can lie in several folders.
  const titles = new Map<string, Set<string>>();
  for (const folder of folders) {
    const { title, text } = describePackage(root, folder);
    titles.set(text, (titles.get(text) ?? new Set()).add(title));
  }
  const rule = `\n${'-'.repeat(78)}\n\n`;
  const intro = 'This package contains the following third-party software.\n';
  const notices = [...titles].map(([text, names]) => `${[...names].sort().join('\n')}\n\n${text}\n`);
  return [intro, ...notices.sort()].join(rule);
}

/** `node_modules/a/node_modules/@b/c/index.js` → `node_modules/a/node_modules/@b/c` */
export function packageFolder(path: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path.replaceAll('\\', '/'))?.[0];
}

function describePackage(root: string, folder: string): { title: string; text: string } {
  const read = (name: string) => readFileSync(join(root, folder, name), 'utf8');
  const { name, version, license, author, repository } = JSON.parse(read('package.json')) as {
    name: string;
    version: string;
    license?: string;
    author?: string | { name: string };
    repository?: string | { url: string };
  };
  if (typeof license !== 'string') throw new Error(`The package ${name} names no licence.`);
  const file = readdirSync(join(root, folder)).find((name) => /^(?:licen[cs]e|copying)/i.test(name));
  // Some packages only name their licence and who wrote it.
  const holder = typeof author === 'string' ? author : (author?.name ?? '');
  const source = typeof repository === 'string' ? repository : (repository?.url ?? '');
  const text = file === undefined ? [holder, source].filter(Boolean).join('\n') : read(file).trim();
  return { title: `${name} ${version} (${license})`, text };
}
