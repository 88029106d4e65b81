/** `export.json` and `export/{table}.json`: how far the tables are exported to the lake. */
import * as z from 'zod';
import { ConflictError } from '../../errors.ts';
import type { ParquetType } from '../../fabric/parquet-types.ts';
import { DamagedDocumentError } from '../../storage/document-store.ts';
import type { ChangePoint, RowsRequest } from '../../target/changes.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';

/** Changes with each incompatible change of the documents. Everything is exported again then. */
const exportFormat = 1;

/** What went wrong with the export last. */
export interface ExportFailure {
  error: string;
  hint?: string | undefined;
  /** Logical name of the table, if it is about one. */
  table?: string | undefined;
  /** When it was met first and last: ISO 8601, UTC. */
  since: string;
  at: string;
}

/** What an export has of a table. */
export interface ExportedTable {
  /** The folder in the landing zone. It may be incomplete. */
  folder: string;
  /** The name of the database that has the table, if that is not the default one. */
  database?: string | undefined;
  /** The state of the rows that is exported; absent until all rows are. */
  point?: ChangePoint;
  /** More than that can be in the folder: an export of the table has begun. */
  isOpen?: true;
  /** Values that Parquet could not have, by column, since all rows were exported last. */
  unstorable?: Record<string, number>;
}

export interface ExportDocument {
  format: number;
  /** Another text after somebody deleted the document, to have all tables again. */
  id: string;
  /** The landing zone that the tables are exported to. */
  address?: string | undefined;
  /** The process that exports now, and until when no other one takes over: ISO 8601, UTC. */
  claim?: { owner: string; until: string } | undefined;
  /** The ETag of the mirror that is exported in whole. */
  etag?: string | undefined;
  /** When an export was complete last: ISO 8601, UTC. */
  exportedAt?: string;
  failures: ExportFailure[];
  /** By logical name. */
  tables: Record<string, ExportedTable>;
}

/** What is exported of each table, by logical name; without tables that are not yet. */
export function exportedPoints({ tables }: Pick<ExportDocument, 'tables'>): Record<string, ChangePoint> {
  return Object.fromEntries(
    Object.entries(tables).flatMap(([name, { point: exported }]) => (exported ? [[name, exported]] : [])),
  );
}

/** How far a table is. */
export interface TableExport {
  format: number;
  /** `id` of the export that it belongs to. */
  exportId: string;
  /** The table as its files have it. */
  folder: string;
  key: string;
  /** The types of the columns by name. */
  columns: Record<string, ParquetType>;
  /** The number of the last file that is known to be complete. */
  lastNumber: number;
  point?: ChangePoint;
  /** What is being exported now. */
  pass?: ExportPass | undefined;
  /** The file that is about to be written. It can be there already. */
  pending?: { number: number; next?: string | undefined; isLast: boolean } | undefined;
  /** The number of a file that can appear with other rows than the pending ones. */
  doubtful?: number | undefined;
  unstorable: Record<string, number>;
}

export interface ExportPass {
  rows: RowsRequest['rows'];
  /** The point that is exported once the pass is complete. */
  to: ChangePoint;
  /** Where the next page begins. */
  from?: string | undefined;
  /** Whether the folder is empty and describes the table. Of a pass of all rows. */
  isCleared?: boolean;
}

const point = z.looseObject({ generation: z.int().min(0), token: z.string() });
const document = z.looseObject({
  format: z.literal(exportFormat),
  id: z.string(),
  address: z.string().optional(),
  claim: z.looseObject({ owner: z.string(), until: z.iso.datetime() }).optional(),
  etag: z.string().optional(),
  exportedAt: z.string().optional(),
  failures: z.array(z.looseObject({ error: z.string(), since: z.string(), at: z.string() })),
  tables: z.record(z.string(), z.looseObject({ folder: z.string().min(1), point: point.optional() })),
});
const table = z.looseObject({
  format: z.literal(exportFormat),
  exportId: z.string(),
  folder: z.string().min(1),
  key: z.string(),
  columns: z.record(z.string(), z.string()),
  lastNumber: z.int().min(0),
  point: point.optional(),
  unstorable: z.record(z.string(), z.number()),
});

export interface Stored<T> {
  value: T;
  /** Undefined if nothing is stored yet. */
  etag: string | undefined;
}

export const emptyExport = (id: string): ExportDocument => ({
  format: exportFormat,
  id,
  failures: [],
  tables: {},
});

/** A document of another form, as another version of the app or another program leaves it, counts as absent. */
async function readAs<T>(
  { work }: Pick<SyncServices, 'work'>,
  name: string,
  shape: z.ZodType,
): Promise<{ value: T | undefined; etag: string | undefined }> {
  try {
    const found = await work.read<T>(name);
    const isFit = found !== undefined && shape.safeParse(found.value).success;
    return { value: isFit ? found.value : undefined, etag: found?.etag };
  } catch (error) {
    if (error instanceof DamagedDocumentError) return { value: undefined, etag: error.etag };
    throw error;
  }
}

/**
 * @param id of the export, if none is stored, or one to another landing zone
 * @returns that to the landing zone of now
 */
export async function readExport(
  services: Pick<SyncServices, 'work'> & Partial<Pick<SyncServices, 'lake'>>,
  id = '',
): Promise<Stored<ExportDocument>> {
  const { value, etag } = await readAs<ExportDocument>(services, paths.export, document);
  const address = services.lake?.address;
  if (value !== undefined && (address === undefined || value.address === address)) return { value, etag };
  // Another process can be exporting to the former one.
  return { value: { ...emptyExport(id), address, claim: value?.claim }, etag };
}

/** @returns without a value if nothing is exported by this export, or it is not known what */
export async function readTableExport(
  services: Pick<SyncServices, 'work'>,
  name: string,
  exportId: string,
): Promise<{ value: TableExport | undefined; etag: string | undefined }> {
  const { value, etag } = await readAs<TableExport>(services, paths.exportedTable(name), table);
  return { value: value?.exportId === exportId ? value : undefined, etag };
}

/** What a table without files has. */
export const newTableExport = (
  fields: Pick<TableExport, 'exportId' | 'folder' | 'key' | 'columns'>,
): TableExport => ({
  ...fields,
  format: exportFormat,
  lastNumber: 0,
  unstorable: {},
});

/** @returns the new ETag @throws ConflictError if the document is not that one any more */
export async function store(
  { work }: Pick<SyncServices, 'work'>,
  name: string,
  value: object,
  etag: string | undefined,
): Promise<string> {
  if (etag !== undefined) return work.replaceIfUnchanged(name, value, etag);
  const created = await work.create(name, value);
  if (created !== undefined) return created;
  throw new ConflictError(`${name} exists already.`, { operation: 'write', object: name });
}
