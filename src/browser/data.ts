import { element, once } from './element.ts';
import { Catalog } from './read/catalog.ts';
import { MirrorReader, QueryError } from './read/mirror-reader.ts';
import { serverQueries } from './read/server-queries.ts';
import { sqliteThread } from './read/sqlite-thread.ts';
import { rowView } from './row-view.ts';
import { rowsView } from './rows-view.ts';
import type { Shown } from './shown.ts';
import { postgres, sqlite } from './sql/dialects.ts';
import { sqlBox } from './sql-box.ts';

/*
 * The page that shows the rows of the mirror. SQLite runs in a thread of the browser and reads the parts of the file that
 * it needs; see mirror-vfs.ts. A mirror in PostgreSQL is read by queries that the app sends there. What is shown is in the
 * address, so that it can be shared.
 */

const keyName = 'dataverse-mirror-key';
/** How often the page looks whether a sync has committed, in milliseconds. */
const lookMilliseconds = 30_000;

/** A read that takes longer keeps the button that stops it in sight, in milliseconds. */
const longMilliseconds = 500;

/** How often a newer state is opened in a row because a sync has committed before anything was shown. */
const mostOpens = 5;

const isOutdated = (error: unknown): boolean => error instanceof QueryError && error.isChanged;

/** The parts of the address that belong to this page. */
const own = ['table', 'row', 'sort', 'desc', 'f', 'sql'];

let place: HTMLElement | null = null;

function start(): void {
  const found = document.getElementById('data');
  if (found === null || found === place) return;
  place = found;
  void run(found);
}

async function run(root: HTMLElement): Promise<void> {
  const { database = '', worker = '', wasm = '', queries } = root.dataset;
  const isShell = document.documentElement.hasAttribute('data-shell');
  const key = isShell ? sessionStorage.getItem(keyName) : null;
  const reader = new MirrorReader((onError) =>
    queries === undefined
      ? sqliteThread({ database, worker, wasm, key }, onError)
      : serverQueries(queries, key),
  );
  const catalog = new Catalog(reader, queries === undefined ? sqlite : postgres);
  const state = element('p', { role: 'status', class: 'quiet' });
  const newer = element('p', { role: 'status' });
  const stop = element(
    'button',
    { type: 'button', id: 'stop', class: 'small', 'aria-disabled': 'true' },
    'Stop',
  );
  const bar = element('div', { class: 'reading' }, stop, state);
  const content = element('div');
  const box = element('div');
  root.replaceChildren(bar, newer, box, content);
  stop.addEventListener('click', () => {
    if (stop.ariaDisabled !== 'true') reader.stop();
  });
  let busy: ReturnType<typeof setTimeout> | undefined;
  reader.onBusy = (isBusy) => {
    stop.ariaDisabled = String(!isBusy);
    clearTimeout(busy);
    // What takes a while can be stopped from every place of the page.
    if (isBusy) busy = setTimeout(() => bar.classList.add('long'), longMilliseconds);
    else bar.classList.remove('long');
  };
  let isReloading = false;
  let isOpen = false;
  let sql: ReturnType<typeof sqlBox> | undefined;
  /** Counts what was asked for, so that a late answer to something earlier is not shown. */
  let navigation = 0;
  /** States that were opened since something was shown. */
  let opens = 0;
  /** The part of the address that is shown. */
  let at = location.search;
  let outdated = new AbortController();
  /** The state of which it was tried without being asked, where none could be opened. */
  let tried: string | null | undefined;

  const shown: Shown = {
    reader,
    catalog,
    address: new URLSearchParams(location.search),
    signal: outdated.signal,
    link(change) {
      const next = new URLSearchParams(location.search);
      for (const name of own) next.delete(name);
      for (const [name, value] of Object.entries(change)) {
        for (const one of Array.isArray(value) ? value : value === undefined ? [] : [value])
          next.append(name, one);
      }
      const search = next.toString();
      return `${location.pathname}${search === '' ? '' : `?${search}`}`;
    },
    go(change) {
      history.pushState(null, '', shown.link(change));
      void show(true);
    },
    say(text) {
      state.textContent = text;
    },
    sayRead() {
      const size = Math.round(reader.fetchedBytes / 1000).toLocaleString('en-US');
      shown.say(`Read ${size} kB in ${reader.requests} requests.`);
    },
    fail(error) {
      if (isOutdated(error)) {
        shown.say('');
        offer();
      } else shown.say((error as Error).message);
    },
  };

  const isOffered = (): boolean => newer.firstChild !== null;

  /** Offers the newer state. What is shown stays as it is until then: two states are never mixed. */
  function offer(): void {
    if (isReloading || isOffered()) return;
    const button = element('button', { type: 'button' }, 'Show the newer state');
    button.addEventListener('click', () => {
      opens = 0;
      void once(button, () => reload(true));
    });
    newer.replaceChildren('A sync has committed a newer state of the mirror. ', button);
  }

  /** Says what failed, with a button that tries again and keeps the focus if that fails. */
  function suggest(text: string, act: () => Promise<void>): void {
    const button = element('button', { type: 'button' }, 'Try again');
    button.addEventListener('click', async () => {
      opens = 0;
      await act();
      if (document.activeElement === document.body) state.querySelector('button')?.focus();
    });
    state.replaceChildren(`${text} `, button);
  }

  /** Ends what is read for something else. */
  function move(): number {
    outdated.abort();
    outdated = new AbortController();
    shown.signal = catalog.signal = outdated.signal;
    return ++navigation;
  }

  /** Opens the state that is there now, or the next one if a sync commits meanwhile. */
  async function openNewest(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await reader.open(() => catalog.load());
      } catch (error) {
        if (tries === mostOpens || !isOutdated(error)) throw error;
      }
    }
  }

  async function reload(isMoved: boolean): Promise<void> {
    if (isReloading) return;
    isReloading = true;
    move();
    try {
      shown.say(isOpen ? 'Opening the newer state …' : 'Opening the mirror …');
      await openNewest();
    } catch (error) {
      if (isOffered()) return shown.say((error as Error).message);
      return suggest((error as Error).message, () => reload(true));
    } finally {
      isReloading = false;
    }
    const wasOnOffer = newer.contains(document.activeElement);
    newer.replaceChildren();
    // Neither rows nor a result of the earlier state stand beside what is read of this one.
    content.replaceChildren();
    sql?.clear();
    if (sql === undefined) {
      sql = sqlBox(shown);
      box.replaceChildren(sql.box);
    }
    isOpen = true;
    await show(isMoved || wasOnOffer);
  }

  async function show(isMoved: boolean): Promise<void> {
    if (!isOpen) return reload(isMoved);
    // The state that is being opened shows what the address says then.
    if (isReloading) return;
    const asked = move();
    at = location.search;
    shown.address = new URLSearchParams(location.search);
    const table = shown.address.get('table') ?? catalog.relations[0]?.name;
    const row = shown.address.get('row');
    shown.say('Reading …');
    try {
      const parts =
        table === undefined || !catalog.has(table)
          ? [element('p', {}, `The mirror has no table ${table ?? ''}.`)]
          : row === null
            ? await rowsView(shown, table)
            : await rowView(shown, table, row);
      if (asked !== navigation) return;
      content.replaceChildren(...parts);
      opens = 0;
      shown.sayRead();
      if (isMoved) content.querySelector<HTMLElement>('h2')?.focus();
    } catch (error) {
      if (asked !== navigation) return;
      // What else the view asked for is of no use.
      move();
      // Where nothing of the earlier state is shown or asked for, there is nothing to keep.
      const isEmpty = content.firstChild === null && sql?.isUsed() !== true;
      if (isOutdated(error) && isEmpty && ++opens < mostOpens) await reload(isMoved);
      else if (isOutdated(error)) shown.fail(error);
      else suggest((error as Error).message, () => show(true));
      if (isMoved && document.activeElement === document.body)
        (state.querySelector('button') ?? newer.querySelector('button'))?.focus();
    }
  }

  // The script that navigates leaves links of this page to it.
  content.addEventListener('click', (event) => {
    const link = (event.target as Element).closest('a');
    const isPlain =
      event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (link === null || !isPlain || link.hasAttribute('download') || link.pathname !== location.pathname)
      return;
    event.preventDefault();
    event.stopPropagation();
    history.pushState(null, '', link.href);
    void show(true);
  });
  addEventListener('popstate', () => {
    // A link within the document, such as the one to the content, changes nothing that is shown.
    if (location.search !== at) void show(true);
  });

  await reload(false);
  setInterval(async () => {
    if (document.hidden || isReloading || isOffered()) return;
    const headers: Record<string, string> = { 'x-requested-with': 'dashboard' };
    const key = isShell ? sessionStorage.getItem(keyName) : null;
    if (key !== null) headers['x-functions-key'] = key;
    const before = reader.etag;
    const answer = await fetch(queries ?? database, { method: 'HEAD', headers }).catch(() => undefined);
    // A newer state may have been opened since.
    if (!answer?.ok || reader.etag !== before || isReloading) return;
    const etag = answer.headers.get('etag');
    if (isOpen && etag !== reader.etag) offer();
    if (isOpen || etag === tried) return;
    // Such as the state of the first sync.
    tried = etag;
    await reload(state.contains(document.activeElement));
  }, lookMilliseconds);
}

document.addEventListener('page-shown', start);
start();
