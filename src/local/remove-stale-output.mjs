// Removes dist if it holds the output of a source file that was moved or deleted: the compiler leaves it there, and the
// Functions host would load it beside the output of the file's new place.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const output = join(root, 'dist');
const files = existsSync(output) ? readdirSync(output, { recursive: true, encoding: 'utf8' }) : [];
const isStale = (file) => file.endsWith('.js') && !existsSync(join(root, 'src', file.replace(/js$/, 'ts')));
if (files.some(isStale)) rmSync(output, { recursive: true });
