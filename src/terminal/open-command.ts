import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The command that opens the database: SQLite's shell if installed, otherwise a list of the tables by Node.js. */
export function openCommand(file: string): string {
  if (isInstalled('sqlite3')) return `sqlite3 ${quote(file)}`;
  const script =
    `const d=new(require("node:sqlite").DatabaseSync)(process.argv[1],{readOnly:true});` +
    `console.table(d.prepare("SELECT name FROM sqlite_schema WHERE type=?").all("table")` +
    `.map(({name})=>({table:name,rows:d.prepare("SELECT count(*) AS n FROM \\""+name+"\\"").get().n})))`;
  return `${quote(process.execPath)} -e '${script}' ${quote(file)}`;
}

function isInstalled(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function quote(text: string): string {
  return /^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
