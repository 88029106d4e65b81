import type { Table } from '../../schema/table.ts';
import type { Closure } from '../../target/mirror-target.ts';
import { type AbsentId, type AbsentIds, readAbsentIds, writeAbsentIds } from '../documents/absent-ids.ts';
import type { RoundMerge } from '../round/round-merge.ts';
import { isRowsById } from '../strategies/rows-by-id.ts';
import { ReferrerDigests } from './referrer-digests.ts';

type IdsByName = ReadonlyMap<string, ReadonlySet<string>>;

/** Ids that this run has requested by now. */
export interface RequestedIds {
  /** Their read is merged, so that those still missing do not exist in Dataverse. */
  answered: Map<string, Set<string>>;
  /** The read failed. */
  failed: Map<string, Set<string>>;
  /** Those of the reads that this round merges. */
  now: Map<string, Set<string>>;
}

/** A read that waits is in none of these: it belongs to the round that merges it, whose plan has it again. */
export async function requestedIds({ services, plan, tables, reports }: RoundMerge): Promise<RequestedIds> {
  const { documents } = services;
  const requested: RequestedIds = { answered: new Map(), failed: new Map(), now: new Map() };
  for (let n = 1; n <= plan.round; n++) {
    const { entities = {} } = (await documents.plan(plan.runId, n)) ?? {};
    const merged = n === plan.round ? reports : ((await documents.merged(plan.runId, n))?.entities ?? []);
    for (const [name, { read }] of Object.entries(entities)) {
      if (!isRowsById(read)) continue;
      const state = merged.find((report) => report.name === name)?.state;
      if (state === 'failed') add(requested.failed, name, read.ids);
      if (state !== 'merged') continue;
      add(requested.answered, name, read.ids);
      if (n === plan.round) add(requested.now, name, read.ids);
    }
  }
  for (const { name, slices, failure } of tables) {
    if (failure !== undefined) continue;
    for (const { absent = [] } of slices) {
      add(requested.answered, name, absent);
      add(requested.now, name, absent);
    }
  }
  return requested;
}

function add(to: Map<string, Set<string>>, name: string, ids: readonly string[]): void {
  const set = to.get(name) ?? new Set();
  for (const id of ids) set.add(id);
  to.set(name, set);
}

const hourMilliseconds = 3_600_000;

/**
 * Ids that rows refer to and that Dataverse does not have: of deleted rows, or of rows that the user may not see. They
 * are remembered with a digest of the rows that refer to them. A run asks for them again once one of these rows changes,
 * and now and then, see `filtered` in strategies/.
 *
 * In a busy table, rows that refer to an invisible user change in every run. So an id is asked for at once after the
 * first change, and then once in each hour of the clock: those of many ids come together, and rewrite the list once.
 */
export class UnresolvedIds {
  readonly #round: RoundMerge;
  readonly #requested: RequestedIds;
  readonly #remembered = new Map<string, AbsentIds>();
  /** Remembered ids whose referring rows are what they were. */
  readonly #settled = new Map<string, Set<string>>();
  /** Those whose referring rows changed, and that Dataverse was asked for in this hour. */
  readonly #deferred = new Map<string, Set<string>>();
  readonly #referrers: ReferrerDigests;

  /** @param tables all that may refer to rows of filtered tables */
  constructor(round: RoundMerge, requested: RequestedIds, tables: () => readonly Table[]) {
    this.#round = round;
    this.#requested = requested;
    this.#referrers = new ReferrerDigests(round.mirror, tables);
  }

  /** Notes that the merge has changed rows of these tables since. */
  changed(names: Iterable<string>): void {
    this.#referrers.forget(names);
  }

  /** The missing ids that this run should ask Dataverse for. @param asked those that the merge has asked for itself */
  async toAskFor(
    missing: ReadonlyMap<string, readonly string[]>,
    asked: IdsByName,
  ): Promise<Map<string, string[]>> {
    const result = new Map<string, string[]>();
    const { answered, failed } = this.#requested;
    for (const [name, ids] of missing) {
      await this.#compare(name, ids);
      const known = [this.#settled, this.#deferred, answered, failed, asked];
      result.set(
        name,
        ids.filter((id) => !known.some((one) => one.get(name)?.has(id))),
      );
    }
    return result;
  }

  /** Whether a read failed, so that it is not known whether Dataverse has the rows. */
  hasUnanswered(missing: ReadonlyMap<string, readonly string[]>): boolean {
    const { answered, failed } = this.#requested;
    return [...missing].some(([name, ids]) =>
      ids.some((id) => failed.get(name)?.has(id) === true && answered.get(name)?.has(id) !== true),
    );
  }

  /** Finds which of the remembered ids still have the same referring rows. */
  async #compare(name: string, missing: readonly string[]): Promise<void> {
    const remembered = this.#remembered.get(name) ?? (await this.#read(name));
    this.#remembered.set(name, remembered);
    const known = missing.filter((id) => remembered.has(id));
    const referrers = await this.#referrers.of(name, known);
    const isSame = (id: string): boolean => referrers.get(id) === remembered.get(id)!.referrers;
    const isOfThisHour = (id: string): boolean => remembered.get(id)!.hour === this.#hour;
    this.#settled.set(name, new Set(known.filter(isSame)));
    this.#deferred.set(name, new Set(known.filter((id) => !isSame(id) && isOfThisHour(id))));
  }

  #read(name: string): Promise<AbsentIds> {
    const { services, mirror } = this.#round;
    return readAbsentIds(services, mirror.state.entities[name]?.absentIds?.list);
  }

  /** The hour of the merge, in hours since 1970. */
  get #hour(): number {
    return Math.floor(Date.parse(this.#round.at) / hourMilliseconds);
  }

  /**
   * Stores the ids that are still missing although Dataverse was asked for them, and forgets the others: all that were
   * stored before, or after a look at some of the rows those that it found.
   */
  async remember({ missing, isPartial = false }: Closure, asked: IdsByName): Promise<void> {
    const { services, mirror, at, next } = this.#round;
    const { entities } = mirror.state;
    for (const [name, ids] of missing) {
      const known = entities[name];
      if (known === undefined) continue;
      const remembered = this.#remembered.get(name) ?? (isPartial ? await this.#read(name) : new Map());
      const isSettled = (id: string): boolean => this.#settled.get(name)?.has(id) === true;
      const isAnswered = (id: string): boolean =>
        [this.#requested.now, asked].some((one) => one.get(name)?.has(id));
      // What is read next although nothing asks for it was found by the slow schedule: Dataverse has it.
      const isFound = (id: string): boolean =>
        next.get(name)?.has(id) === true && (isSettled(id) || this.#deferred.get(name)?.has(id) === true);
      const kept = ids.filter((id) => (remembered.has(id) || isAnswered(id)) && !isFound(id));
      const referrers = await this.#referrers.of(
        name,
        kept.filter((id) => isSettled(id) || isAnswered(id)),
      );
      const entries = kept.map((id): [string, AbsentId] => {
        const before = remembered.get(id);
        const now = referrers.get(id);
        if (now === undefined) return [id, before!];
        return [id, { referrers: now, hour: before && (isSettled(id) ? before.hour : this.#hour) }];
      });
      const found = new Set(ids);
      const others = isPartial ? [...remembered].filter(([id]) => !found.has(id) && !isFound(id)) : [];
      entries.push(...others);
      const list = await writeAbsentIds(services, new Map(entries), known.absentIds?.list);
      const askedAt = known.absentIds?.askedAt ?? at;
      // The next round asks for some of those that are left.
      const left = kept.filter((id) => !referrers.has(id) && next.get(name)?.has(id) !== true);
      const areDeferred = left.every((id) => this.#deferred.get(name)?.has(id));
      const nextHour = new Date((this.#hour + 1) * hourMilliseconds).toISOString();
      const again = left.length === 0 ? undefined : areDeferred ? nextHour : at;
      // A look at some of the rows did not find those that are to be asked for again.
      const againAt = isPartial ? earliest(again, known.absentIds?.againAt) : again;
      entities[name] = { ...known, absentIds: list === undefined ? undefined : { list, askedAt, againAt } };
    }
  }
}

function earliest(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}
