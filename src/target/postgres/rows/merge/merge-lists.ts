import type { Session } from '../../connection/session.ts';
import type { PostgresType } from '../../schema/column-types.ts';
import type { LoadedShard } from '../load-shard.ts';
import type { TemporaryTables } from '../temporary-tables.ts';

/** What the merge of a table notes before it deletes anything: names of temporary tables. */
export class MergeLists {
  /** The ids of deleted rows. */
  readonly gone: string;
  /** The ids of rows of earlier shards. */
  readonly written: string;
  /** The ids of received rows. */
  readonly received: string;
  /** Swept keys with their versions. */
  readonly compared: string;
  /** Those of them whose rows have other values. */
  readonly differing: string;
  /** The places of the rows of one shard that are new or differ from the table. */
  readonly changed: string;

  readonly #session: Session;
  readonly #keyType: PostgresType;
  readonly #temporary: TemporaryTables;
  /** Whether `addGone` added an id. Absent rows are added, too, but only once all shards are merged. */
  #areSomeGone = false;

  private constructor(
    session: Session,
    temporary: TemporaryTables,
    keyType: PostgresType,
    names: Record<'gone' | 'written' | 'received' | 'compared' | 'differing' | 'changed', string>,
  ) {
    this.#session = session;
    this.#temporary = temporary;
    this.#keyType = keyType;
    this.gone = names.gone;
    this.written = names.written;
    this.received = names.received;
    this.compared = names.compared;
    this.differing = names.differing;
    this.changed = names.changed;
  }

  /** Empty lists for keys of this type. All tables of a transaction with such keys use the same. */
  static async open(
    session: Session,
    temporary: TemporaryTables,
    keyType: PostgresType,
  ): Promise<MergeLists> {
    const list = (name: string, columns: string) => temporary.open(`merge_${name}`, columns);
    const ids = `id ${keyType} PRIMARY KEY`;
    // An index costs more than all else about a list. An id can be in these two several times.
    const longIds = `id ${keyType}`;
    return new MergeLists(session, temporary, keyType, {
      gone: await list('gone', ids),
      written: await list('written', longIds),
      received: await list('received', longIds),
      compared: await list('swept', `${ids}, version text`),
      differing: await list('differing', ids),
      changed: await list('changed', 'place bigint'),
    });
  }

  /** @param ids those of deleted rows */
  async addGone(ids: LoadedShard['deleted']): Promise<void> {
    if ('table' in ids) {
      await this.#session.run(`INSERT INTO ${this.gone} SELECT id FROM ${ids.table} ON CONFLICT DO NOTHING`);
    } else if (ids.length > 0) {
      await this.#session.run(
        `INSERT INTO ${this.gone} SELECT unnest($1::text[])::${this.#keyType} ON CONFLICT DO NOTHING`,
        [ids],
      );
    } else return;
    this.#areSomeGone = true;
  }

  /**
   * Takes rows out of the deleted ones.
   * @param ids a query for their ids
   */
  async removeGone(ids: string): Promise<void> {
    if (this.#areSomeGone) await this.#session.run(`DELETE FROM ${this.gone} WHERE id IN (${ids})`);
  }

  /** Empties all of them, for the next table. */
  async empty(): Promise<void> {
    const { gone, written, received, compared, differing, changed } = this;
    await this.#temporary.empty(gone, written, received, compared, differing, changed);
  }
}
