import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The root of the checkout. */
export const root = resolve(import.meta.dirname, '../..');

/** The text of a file, by its path from the root. */
export const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** All Markdown pages for people: README, docs and the project files. */
export const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, 'docs/examples'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => `docs/examples/${name.replaceAll('\\', '/')}`),
];

/** The text below a heading of a page, up to the next heading of the same or a higher level. */
export function section(page: string, heading: string): string {
  const text = read(page);
  const start = new RegExp(`^(#+) ${heading.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\n`, 'm').exec(text);
  if (start === null) throw new Error(`${page} has no section "${heading}".`);
  const rest = text.slice(start.index + start[0].length);
  const end = new RegExp(`^#{1,${start[1]!.length}} `, 'm').exec(withoutCode(rest));
  return end === null ? rest : rest.slice(0, end.index);
}

/** The text with fenced blocks blanked out, so that offsets stay and comments of shell code are not headings. */
export function withoutCode(text: string): string {
  return text.replace(/^```.*?^```$/gms, (block) => block.replace(/[^\n]/g, ' '));
}

/** The rows of all tables in a text whose first cell is code, cell by cell. */
export function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => /^\| `/.test(line))
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
}

/** `name` → name */
export const plain = (cell: string): string => cell.replace(/^`|`$/g, '');

/** The first cells of all tables in a text. */
export const firstCells = (text: string): string[] => rows(text).map(([cell]) => plain(cell!));

/** The fenced blocks of one language. */
export function blocks(language: string, text: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, code]) => code!);
}

/** The anchor that a heading gets. */
export function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

/** The example in the page on configuration. */
export const entitiesExample = (): string =>
  blocks('json', section('docs/configuration.md', 'entities.json'))[0]!;
