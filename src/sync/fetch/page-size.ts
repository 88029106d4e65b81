import { type CallOptions, parseRows } from '../../dataverse/client.ts';
import { RetriableError, SyncError } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { SyncServices } from '../documents/services.ts';
import { mayBeHeavy, pageSizeFor, rowsQuery, sampleRows, withoutRefused } from './slice-queries.ts';

/** Rows per page of a table by the weight of its rows: as planned, as read before, or as a few rows show. */
export class PageSize {
  readonly #services: SyncServices;
  readonly #table: Table;
  readonly #plan: TablePlan;
  readonly #options: CallOptions;
  /** Undefined until it is asked for. It stays the same within a read. */
  rows: number | undefined;

  constructor(services: SyncServices, table: Table, plan: TablePlan, options: CallOptions) {
    this.#services = services;
    this.#table = table;
    this.#plan = plan;
    this.#options = options;
  }

  async get(): Promise<number> {
    if (this.rows === undefined) {
      const most = pageSizeFor(this.#table, this.#services.settings.dataverse.pageSize);
      const rowBytes = this.#plan.rowBytes ?? (most > sampleRows ? await this.#weighRows() : 0);
      this.rows = pageSizeFor(this.#table, most, rowBytes);
    }
    return this.rows;
  }

  /** Bytes of a row, from a few rows; 0 if there are none, or they cannot be read, which the read itself reports. */
  async #weighRows(): Promise<number> {
    if (!mayBeHeavy(this.#table)) return 0;
    const query = withoutRefused(rowsQuery(this.#table, this.#plan, sampleRows), this.#plan);
    try {
      for await (const page of this.#services.dataverse.readPages(
        { ...query, top: sampleRows, readAhead: false },
        this.#options,
      )) {
        const rows = parseRows(page).length;
        return rows === 0 ? 0 : Math.ceil((page.recordsEnd - page.recordsStart) / rows);
      }
    } catch (error) {
      if (!(error instanceof SyncError) || error instanceof RetriableError) throw error;
    }
    return 0;
  }
}
