import { SyncError } from '../../errors.ts';
import { ParquetFile } from '../../fabric/parquet-file.ts';
import { type ParquetType, parquetTypeOf } from '../../fabric/parquet-types.ts';
import type { Table } from '../../schema/table.ts';
import type { LandingZone } from '../../storage/fabric/landing-zone.ts';
import type { ChangedRow, RowsPage, TableNews } from '../../target/changes.ts';
import { exportedColumns } from '../../target/common/exported-columns.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import {
  type ExportedTable,
  type ExportPass,
  newTableExport,
  readTableExport,
  store,
  type TableExport,
} from './export-document.ts';

/** How large the parts of an export are. */
export interface ExportLimits {
  /** A file is complete when it has so many rows or bytes. */
  fileRows: number;
  fileBytes: number;
  /** The most rows of a page, which is a row group. */
  pageRows: number;
}

const usualLimits: ExportLimits = { fileRows: 500_000, fileBytes: 32 * 1024 * 1024, pageRows: 5_000 };
/**
 * What one page is to take in memory, in characters and bytes of values. How large rows are is seen in the page before, so the
 * first one has few, and none has more than twice as many as the one before.
 */
const pageBytes = 8 * 1024 * 1024;
const firstPageRows = 25;

export interface TableExportOptions {
  /** `id` of the export. */
  exportId: string;
  lake: LandingZone;
  /** Whether the work is to be left to the next message. Asked after each file. */
  isTimeOver: () => boolean;
  /** Is called before each write and delete: this process goes on. @throws ConflictError if another one took over */
  beforeWrite: () => Promise<void>;
  /** Whether a table of the mirror has this folder by now. */
  isTaken: (folder: string) => boolean;
  /** Smaller ones, for tests. */
  limits?: Partial<ExportLimits> | undefined;
}

/**
 * Exports what a table has since the last time: changed rows, or all of them after a change that the files of a folder cannot
 * tell of. Can be repeated after a crash at any place: the number of a file and what it will contain are stored before it is
 * written, and a file that is there is not written again.
 * @returns what is exported; undefined if time was over before that
 */
export async function exportTable(
  services: SyncServices,
  given: TableNews,
  known: ExportedTable,
  options: TableExportOptions,
): Promise<ExportedTable | undefined> {
  const { logicalName } = given.table;
  const stored = await readTableExport(services, logicalName, options.exportId);
  const exporter = new TableExporter(services, given.table, stored, options);
  // A process that died came further than the list of all tables says, or a pass is not complete.
  const { pass, point } = stored.value ?? {};
  const at = pass?.to ?? point;
  const isGiven = at?.generation === known.point?.generation && at?.token === known.point?.token;
  // The list goes on while nothing of the table changes. Its point is kept in the mirror, and earlier ones are forgotten in time.
  const isLater =
    pass === undefined &&
    point !== undefined &&
    known.point !== undefined &&
    given.news !== 'all' &&
    known.point.generation > point.generation;
  if (isLater) stored.value!.point = known.point!;
  const news = isGiven || isLater || at === undefined ? given : await newsOf(services, given, at);
  return exporter.run(news);
}

async function newsOf(
  { mirror }: SyncServices,
  given: TableNews,
  point: NonNullable<ExportedTable['point']>,
): Promise<TableNews> {
  const { logicalName } = given.table;
  const found = await mirror.newsSince({ [logicalName]: point });
  return found?.tables.find(({ table }) => table.logicalName === logicalName) ?? { ...given, news: 'all' };
}

class TableExporter {
  readonly #services: SyncServices;
  readonly #options: TableExportOptions;
  #table: Table;
  #value: TableExport | undefined;
  #etag: string | undefined;
  #pageRows = firstPageRows;

  constructor(
    services: SyncServices,
    table: Table,
    stored: { value: TableExport | undefined; etag: string | undefined },
    options: TableExportOptions,
  ) {
    this.#services = services;
    this.#options = options;
    this.#table = table;
    this.#value = stored.value;
    this.#etag = stored.etag;
  }

  /** @param news since the end of the pass that was begun, or else since the last complete one */
  async run(news: TableNews): Promise<ExportedTable | undefined> {
    this.#table = news.table;
    await this.#open(news);
    if (!(await this.#finishPass())) return undefined;
    if (news.news === 'some') this.#continue(news);
    if (!(await this.#finishPass())) return undefined;
    const value = this.#value!;
    // Nothing has changed up to here.
    if (news.news === 'none') value.point = news.latest;
    await this.#store(value);
    const { folder, point, unstorable } = value;
    return { folder, ...(point && { point }), ...(Object.keys(unstorable).length > 0 && { unstorable }) };
  }

  /** Takes up what is stored of the table, or begins to export all rows. */
  async #open(news: TableNews): Promise<void> {
    const value = this.#value;
    if (value === undefined || news.news === 'all' || !this.#goesOn(value)) return this.#begin(news);
    if (value.pass?.isCleared === false) return;
    const folder = await this.#options.lake.look(value.folder);
    // Somebody has deleted the folder, to have all rows again.
    if (!folder.isDescribed) return this.#begin(news);
    if (!settle(value, folder.lastNumber)) return this.#begin(news);
  }

  /** Begins to export what changed since the last complete pass. */
  #continue({ latest }: TableNews): void {
    const { point } = this.#value!;
    if (point === undefined || point.generation >= latest.generation) return;
    const rows = { changed: { after: point.generation, upTo: latest.generation } };
    this.#value!.pass = { rows, to: latest };
  }

  /** @returns false if the rest is left to the next message */
  async #finishPass(): Promise<boolean> {
    while (this.#value!.pass !== undefined) {
      if (!(await this.#write(this.#value!, this.#value!.pass))) return false;
    }
    return true;
  }

  /** Whether more files can follow: Fabric takes new columns, and no other types or keys. */
  #goesOn({ folder, key, columns }: TableExport): boolean {
    const now = typesOf(this.#table);
    const areKept = Object.entries(columns).every(([name, type]) => now[name] === type);
    return folder === this.#table.name && key === this.#table.primaryKey && areKept;
  }

  /** Begins to export all rows. */
  async #begin({ latest }: TableNews): Promise<void> {
    const { name: folder, primaryKey: key } = this.#table;
    const former = this.#value?.folder;
    const { exportId, lake, beforeWrite, isTaken } = this.#options;
    // Another table can have its former name by now.
    if (former !== undefined && former !== folder && !isTaken(former)) await lake.clear(former, beforeWrite);
    const value = newTableExport({ exportId, folder, key, columns: typesOf(this.#table) });
    value.pass = { rows: { all: { upTo: latest.generation } }, to: latest, isCleared: false };
    await this.#store(value);
  }

  async #store(value: TableExport): Promise<void> {
    this.#etag = await store(this.#services, paths.exportedTable(this.#table.logicalName), value, this.#etag);
    this.#value = value;
  }

  /** Writes the next file of the pass. @returns false if the rest is left to the next message */
  async #write(value: TableExport, pass: ExportPass): Promise<boolean> {
    const { lake, beforeWrite } = this.#options;
    if (pass.isCleared === false) {
      await lake.clear(value.folder, beforeWrite);
      await beforeWrite();
      await lake.describe(value.folder, value.key);
      pass.isCleared = true;
      await this.#store(value);
    }
    const built = await this.#build(value, pass);
    if (built === undefined) {
      // The rows are arranged in another way, or the table is gone.
      await this.#begin(
        await newsOf(this.#services, { table: this.#table, latest: pass.to, news: 'all' }, pass.to),
      );
      return false;
    }
    const { file, next } = built;
    const isLast = next === undefined;
    const number = value.lastNumber + 1;
    // The rows of a file that was about to be written can all have changed again. It may appear yet, with other rows than this one.
    const isOther = value.pending !== undefined && (file.rows === 0 || value.pending.next !== next);
    if (isOther) value.doubtful = number;
    value.pending = undefined;
    if (file.rows > 0) {
      await beforeWrite();
      value.pending = { number, next, isLast };
      await this.#store(value);
      await lake.writeFile(value.folder, number, file.finish());
      value.lastNumber = number;
      value.pending = undefined;
      value.doubtful = undefined;
    }
    for (const [column, count] of file.unstorable)
      value.unstorable[column] = (value.unstorable[column] ?? 0) + count;
    advance(value, pass, { next, isLast });
    if (isLast || !this.#options.isTimeOver()) return true;
    await this.#store(value);
    return false;
  }

  /** Reads pages until the file is large enough. @returns undefined if the pages do not go on */
  async #build(
    value: TableExport,
    pass: ExportPass,
  ): Promise<{ file: ParquetFile; next: string | undefined } | undefined> {
    let from = pass.from;
    let file: ParquetFile | undefined;
    const limits = { ...usualLimits, ...this.#options.limits };
    // A file that was about to be written may appear yet: whoever writes it, it has the rows up to the same place.
    const until = value.pending?.next;
    for (;;) {
      const maxRows = Math.min(this.#pageRows, limits.pageRows);
      const page: RowsPage | undefined = await this.#services.mirror.readRows({
        ...{ table: this.#table, rows: pass.rows, from, until, maxRows },
      });
      if (page === undefined) return undefined;
      this.#table = page.table;
      const types = typesOf(page.table);
      if (!this.#goesOn(value)) return undefined;
      if (file === undefined) {
        value.columns = types;
        file = await ParquetFile.open(exportedColumns(page.table), {
          key: value.key,
          hasMarkers: 'changed' in pass.rows,
        });
      } else if (Object.keys(types).join() !== Object.keys(value.columns).join()) {
        // It got columns between two pages. The next file has them.
        return { file, next: from };
      }
      file.add(page.rows);
      this.#pageRows = Math.max(1, Math.min(2 * maxRows, Math.floor(pageBytes / sizeOf(page.rows))));
      from = page.next ?? until;
      if (page.next === undefined) return { file, next: until };
      if (
        value.pending === undefined &&
        (file.rows >= limits.fileRows || file.byteLength >= limits.fileBytes)
      )
        return { file, next: from };
    }
  }
}

function typesOf(table: Table): Record<string, ParquetType> {
  return Object.fromEntries(exportedColumns(table).map((column) => [column.name, parquetTypeOf(column)]));
}

/** Characters and bytes of a row, on average. */
function sizeOf(rows: readonly ChangedRow[]): number {
  let size = 0;
  for (const { values = [] } of rows)
    for (const value of values)
      size += typeof value === 'object' || typeof value === 'string' ? (value?.length ?? 0) : 8;
  return Math.max(1, size / Math.max(1, rows.length));
}

/**
 * Takes account of what is in the folder: a file that was about to be written may be there.
 * @returns false if the rows of that file are not known, and no file may have them once more
 */
function settle(value: TableExport, lastNumber: number): boolean {
  const { pending, pass, doubtful = 0 } = value;
  value.lastNumber = Math.max(value.lastNumber, lastNumber);
  const isDoubtful = doubtful > 0 && lastNumber >= doubtful;
  if (isDoubtful) value.doubtful = undefined;
  if (pending === undefined || lastNumber < pending.number) return true;
  value.pending = undefined;
  // Changed rows can be written once more, as they are now. All rows cannot: they are inserts.
  if (isDoubtful) return pass === undefined || 'changed' in pass.rows;
  if (pass !== undefined) advance(value, pass, pending);
  return true;
}

function advance(
  value: TableExport,
  pass: ExportPass,
  { next, isLast }: { next?: string | undefined; isLast: boolean },
): void {
  if (!isLast) {
    pass.from = next;
    return;
  }
  value.point = pass.to;
  value.pass = undefined;
}

/** @throws SyncError if the name cannot be that of a folder: Fabric ignores what begins with an underscore */
export function checkFolder({ name, logicalName }: Table): void {
  if (!name.startsWith('_') && !/[/\\?*:"<>|]/.test(name) && !name.endsWith('.')) return;
  throw new SyncError(`The table ${name} cannot be a folder of the landing zone`, {
    operation: 'export',
    object: logicalName,
    hint: 'Fabric ignores folders whose name begins with an underscore. The table is not exported.',
  });
}
