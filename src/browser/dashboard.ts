/**
 * The script of the pages: holds the function key for this tab, loads pages without reloading, brings news while something
 * is under way, and sends what buttons ask for. All content comes from the server as pages that also work without it.
 */

const keyName = 'dataverse-mirror-key';
const isShell = document.documentElement.hasAttribute('data-shell');
const root = /^(.*?)\/(?:pages|dashboard)(?:\/|$)/i.exec(location.pathname)?.[1] ?? '/api';

function takeKey(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get('key');
  if (given !== null) {
    sessionStorage.setItem(keyName, given);
    // The key stays neither in the address nor in the history of the browser.
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(keyName);
}

let key = isShell ? takeKey() : new URLSearchParams(location.search).get('code');

/** The address of the page that belongs to an address of the dashboard. */
function pageAddress(address: URL): string {
  if (!isShell) return address.href;
  const path = address.pathname.slice(`${root}/dashboard`.length);
  return `${root}/pages${path === '' || path === '/' ? '/overview' : path}${address.search}`;
}

interface Answer {
  status: number;
  page: Document | null;
}

/** Loads a page. A request parses it as a document, in which no script runs. */
function load(address: string): Promise<Answer> {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open('GET', address);
    request.responseType = 'document';
    request.setRequestHeader('accept', 'text/html');
    request.setRequestHeader('x-requested-with', 'dashboard');
    if (isShell) {
      request.setRequestHeader('x-dashboard', '1');
      try {
        if (key !== null) request.setRequestHeader('x-functions-key', key);
      } catch {
        // A header cannot have every character, so this is no key.
        return done({ status: 401, page: null });
      }
    }
    request.timeout = 60_000;
    request.onload = () => done({ status: request.status, page: request.response as Document | null });
    request.onerror = request.ontimeout = () => done({ status: 0, page: null });
    request.send();
  });
}

/** Makes an element like another one and keeps what did not change, so that focus and open details stay. */
function morph(old: Element, now: Element): void {
  // What it says is of this script, and is read out whenever it changes.
  if (old.id === 'notice' && now.id === 'notice') return;
  for (const { name } of [...old.attributes])
    if (!now.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
  for (const { name, value } of [...now.attributes])
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [before, after] = [[...old.childNodes], [...now.childNodes]];
  after.forEach((node, n) => {
    const at = before[n];
    if (at === undefined) old.append(document.adoptNode(node));
    else if (at instanceof Element && node instanceof Element && at.tagName === node.tagName) morph(at, node);
    else if (at.nodeType === Node.TEXT_NODE && node.nodeType === Node.TEXT_NODE) {
      if (at.nodeValue !== node.nodeValue) at.nodeValue = node.nodeValue;
    } else old.replaceChild(document.adoptNode(node), at);
  });
  for (const node of before.slice(after.length)) node.remove();
}

/** Gives the focus to the link or button that has it now, where a page that has more on it put it elsewhere. */
function focusKeeper(): () => void {
  const focused = document.activeElement;
  const nameOf = (one: Element): string => `${one.getAttribute('data-post')} ${one.getAttribute('href')}`;
  const name = focused?.matches('a[href], button[data-post]') ? nameOf(focused) : undefined;
  return () => {
    if (name === undefined || (focused === document.activeElement && nameOf(focused!) === name)) return;
    const all = [...document.querySelectorAll<HTMLElement>('a[href], button[data-post]')];
    all.find((one) => nameOf(one) === name)?.focus({ preventScroll: true });
  };
}

const isData = (path: string): boolean => /\/data\/?$/.test(path);

const notice = (): HTMLElement | null => document.getElementById('notice');
function say(text: string): void {
  const place = notice();
  if (place !== null) place.textContent = text;
}

/** What is being sent. A button of it does nothing meanwhile, also if the page has changed around it. */
const posting = new Set<string>();
const requestOf = ({ dataset }: HTMLButtonElement): string => `${dataset['post']} ${dataset['body']}`;

function showButtons(): void {
  // Who is signed in may read alone.
  if (document.getElementById('content')?.hasAttribute('data-read-only')) return;
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-post]')) {
    button.hidden = false;
    if (posting.has(requestOf(button))) button.ariaDisabled = 'true';
    else button.removeAttribute('aria-disabled');
  }
}

let timer: ReturnType<typeof setTimeout> | undefined;
let failures = 0;
/** What the latest failure of a page said. */
let fault = '';
/** Counts navigations, so that a late answer to an earlier one is not shown. */
let navigation = 0;
/** The address that is shown. */
let shownAt = location.pathname + location.search;

const answered = (status: number): string => `The app answered with status ${status}.`;

/** What a page that is a problem says: what happened, and what to do. */
function problemOf(page: Document | null): string | undefined {
  const [title, ...texts] = [...(page?.querySelector('main')?.children ?? [])].map((one) =>
    one.textContent!.trim(),
  );
  return texts.length === 0 ? undefined : `${title}: ${texts.join(' ')}`;
}

async function show(address: URL, options: { isNews: boolean }): Promise<void> {
  const own = options.isNews ? navigation : ++navigation;
  shownAt = address.pathname + address.search;
  const { status, page } = await load(pageAddress(address));
  if (own !== navigation) return;
  const content = page?.getElementById('content');
  if (status === 401 || status === 403) return askForKey();
  if (content == null) {
    failures += 1;
    fault =
      status === 0
        ? 'The app does not answer. The figures may be old.'
        : (problemOf(page) ?? answered(status));
    say(fault);
    return plan();
  }
  // What a button said meanwhile stays.
  if (failures > 0 && notice()?.textContent === fault) say('');
  failures = 0;
  document.title = page!.title;
  if (!options.isNews) {
    say('');
    // Nothing of another page stays, such as what was unfolded there.
    document.getElementById('content')!.replaceWith(document.importNode(content, true));
  }
  const refocus = focusKeeper();
  morph(document.body, page!.body);
  showButtons();
  if (options.isNews) refocus();
  document.dispatchEvent(new Event('page-shown'));
  if (!options.isNews) {
    document.getElementById('content')!.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  plan();
}

/** Plans the next look. Nothing is asked while nobody looks. */
function plan(): void {
  clearTimeout(timer);
  const news = Number(document.getElementById('content')?.dataset['news'] ?? 30);
  // The page brings news by itself.
  if (news === 0) return;
  const seconds = Math.min(300, news * 2 ** Math.min(failures, 6));
  timer = setTimeout(() => {
    if (!document.hidden) void show(new URL(location.href), { isNews: true });
  }, seconds * 1000);
}

function askForKey(): void {
  clearTimeout(timer);
  key = null;
  sessionStorage.removeItem(keyName);
  const form = document.getElementById('sign-in');
  // The form is in the document of the shell alone.
  if (form === null) {
    location.reload();
    return;
  }
  form.hidden = false;
  say('Enter a key that opens the pages.');
  document.getElementById('key')!.focus();
}

/** What an answer without a document means. The platform refuses a key, or a session that has ended, with nothing else. */
function refusal(status: number): string {
  if (status !== 401 && status !== 403) return answered(status);
  const next = key === null ? 'Sign in again.' : 'This button needs a host key: open the pages with one.';
  return `${answered(status)} ${next}`;
}

async function post(button: HTMLButtonElement): Promise<void> {
  const { post: address, body = '{}', confirm: question } = button.dataset;
  const request = requestOf(button);
  if (posting.has(request)) return;
  if (address === undefined || (question !== undefined && !confirm(question))) return;
  posting.add(request);
  showButtons();
  try {
    // Another site cannot make a browser send this header (src/http/sign-in.ts).
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      'x-requested-with': 'dashboard',
    };
    if (isShell && key !== null) headers['x-functions-key'] = key;
    const response = await fetch(address, { method: 'POST', headers, body });
    const answer = (await response.json().catch(() => null)) as Record<string, unknown> | null;
    const { detail, hint, outcome } = answer ?? {};
    const texts = [
      detail,
      response.ok ? `Done: ${outcome ?? response.status}.` : outcome && `It is ${outcome}.`,
      hint,
    ].filter((text) => typeof text === 'string');
    say(texts.length > 0 ? texts.join(' ') : refusal(response.status));
  } catch {
    say('The app does not answer. Try again.');
  }
  posting.delete(request);
  showButtons();
  await show(new URL(location.href), { isNews: true });
}

addEventListener('click', (event) => {
  const target = event.target as Element;
  const button = target.closest<HTMLButtonElement>('button[data-post]');
  if (button !== null) return void post(button);
  const link = target.closest('a');
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!isShell || link === null || !isPlain || !link.pathname.startsWith(`${root}/dashboard`)) return;
  if (link.pathname === location.pathname && link.hash !== '') return;
  // The page with SQLite has a policy of its own, so it is a document of its own.
  if (isData(link.pathname) || isData(location.pathname)) return;
  event.preventDefault();
  history.pushState(null, '', link.href);
  void show(new URL(link.href), { isNews: false });
});

addEventListener('submit', (event) => {
  event.preventDefault();
  key = (document.getElementById('key') as HTMLInputElement).value.trim();
  sessionStorage.setItem(keyName, key);
  say('');
  void show(new URL(location.href), { isNews: false });
});

addEventListener('popstate', () => {
  // A link within the document, such as the one to the content, shows nothing else.
  if (isData(location.pathname) || location.pathname + location.search === shownAt) return;
  void show(new URL(location.href), { isNews: false });
});
addEventListener('hashchange', () => {
  if (!isShell || !location.hash.startsWith('#key=')) return;
  key = takeKey();
  // What reads the mirror there took the key when it began.
  if (isData(location.pathname)) return location.reload();
  void show(new URL(location.href), { isNews: false });
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && !isData(location.pathname)) void show(new URL(location.href), { isNews: true });
});

if (!isShell) {
  showButtons();
  plan();
} else if (key === null) askForKey();
else void show(new URL(location.href), { isNews: false });
