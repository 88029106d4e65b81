import { Catalog } from './catalog.ts';
import { element } from './element.ts';
import { MirrorReader, QueryError } from './mirror-reader.ts';
import { rowView } from './row-view.ts';
import { rowsView } from './rows-view.ts';
import type { Shown } from './shown.ts';
import { sqlBox } from './sql-box.ts';

/*
 * The page that shows the rows of the mirror. SQLite runs in a thread of the browser and reads the parts of the file that
 * it needs; see mirror-vfs.ts. What is shown is in the address, so that it can be shared.
 */

const keyName = 'dataverse-mirror-key';
/** How often the page looks whether a sync has committed, in milliseconds. */
const lookMilliseconds = 30_000;

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
  const { database = '', worker = '', wasm = '' } = root.dataset;
  const isShell = document.documentElement.hasAttribute('data-shell');
  const reader = new MirrorReader({
    database,
    worker,
    wasm,
    key: isShell ? sessionStorage.getItem(keyName) : null,
  });
  const catalog = new Catalog(reader);
  const state = element('p', { role: 'status', class: 'quiet' });
  const content = element('div');
  const box = element('div');
  root.replaceChildren(state, box, content);
  let isReloading = false;
  let isOpen = false;
  let sql: ReturnType<typeof sqlBox> | undefined;
  /** Counts what was asked for, so that a late answer to something earlier is not shown. */
  let navigation = 0;
  /** The part of the address that is shown. */
  let at = location.search;

  const shown: Shown = {
    reader,
    catalog,
    address: new URLSearchParams(location.search),
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
    fail(error) {
      if (error instanceof QueryError && error.isChanged) offer();
      else shown.say((error as Error).message);
    },
  };

  /** Offers the newer state. What is shown stays as it is until then: two states are never mixed. */
  function offer(): void {
    if (isReloading) return;
    suggest('A sync has committed a newer state of the mirror.', 'Show the newer state', () => reload(true));
  }

  function suggest(text: string, action: string, act: () => Promise<void>): void {
    const button = element('button', { type: 'button' }, action);
    button.addEventListener('click', () => void act());
    state.replaceChildren(`${text} `, button);
  }

  async function reload(isMoved: boolean): Promise<void> {
    isReloading = true;
    try {
      shown.say(isOpen ? 'Opening the newer state …' : 'Opening the mirror …');
      await reader.open();
      await catalog.load();
    } catch (error) {
      return suggest((error as Error).message, 'Try again', () => reload(true));
    } finally {
      isReloading = false;
    }
    // A result of the earlier state does not stand beside rows of this one.
    sql?.clear();
    sql ??= sqlBox(shown);
    box.replaceChildren(sql.box);
    isOpen = true;
    await show(isMoved);
  }

  async function show(isMoved: boolean): Promise<void> {
    if (!isOpen) return;
    const asked = ++navigation;
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
      const size = reader.fetchedBytes;
      shown.say(`Read ${Math.round(size / 1000).toLocaleString('en-US')} kB in ${reader.requests} requests.`);
      if (isMoved) content.querySelector<HTMLElement>('h2')?.focus();
    } catch (error) {
      if (asked !== navigation) return;
      if (error instanceof QueryError && error.isChanged) offer();
      else suggest((error as Error).message, 'Try again', () => show(isMoved));
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
    if (document.hidden || isReloading || !isOpen) return;
    const headers: Record<string, string> = {};
    const key = isShell ? sessionStorage.getItem(keyName) : null;
    if (key !== null) headers['x-functions-key'] = key;
    const answer = await fetch(database, { method: 'HEAD', headers }).catch(() => undefined);
    if (answer?.ok && answer.headers.get('etag') !== reader.etag) offer();
  }, lookMilliseconds);
}

document.addEventListener('page-shown', start);
start();
