// The key browser: keys by prefix, a page at a time, without their values.

import { announce, byId, make, number } from './elements.js';

const PAGE_COUNT = 25;

// A key as the API names it, {key} or {key_base64}, for a query: each byte percent-encoded, so that nothing is taken for a path.
export const inQuery = (name) => (name.key_base64 === undefined ? encodeURIComponent(name.key) : percent(bytesOf(name.key_base64)));
export const shownKey = (name) => name.key ?? `(bytes) ${hex(bytesOf(name.key_base64))}`;
export const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const percent = (bytes) => Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');

// Ask the API. Fails with an Error whose message is for people; `status` and `outcome` are the problem's.
export async function ask(path, body) {
  let response;
  try {
    response = await fetch(path, {
      cache: 'no-store',
      ...(body && { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    });
  } catch {
    throw Object.assign(new Error('this node does not answer'), { outcome: 'unknown' });
  }
  const document = await response.json().catch(() => ({}));
  if (response.ok) return document;
  const words = {
    401: 'you are not logged in: reload the page to log in',
    403: `you may not do this: ${document.detail ?? 'permission denied'}`,
  }[response.status];
  const error = new Error(words ?? document.detail ?? `the node answers with status ${response.status}`);
  throw Object.assign(error, { status: response.status, outcome: document.outcome });
}

export class Keys {
  constructor(open) {
    this.open = open;
    this.prefix = '';
    this.asked = 0;
    byId('find').addEventListener('submit', (event) => {
      event.preventDefault();
      this.prefix = byId('prefix').value;
      this.load();
    });
    byId('first-page').addEventListener('click', () => this.load());
    byId('next-page').addEventListener('click', () => this.load(this.next));
    byId('new-key').addEventListener('click', () => open(null, byId('prefix').value));
  }

  reload() {
    return this.load(this.after);
  }

  async load(after = null) {
    // Of several that are under way, only the last is of interest, whichever is answered last.
    const turn = ++this.asked;
    const query = `prefix=${encodeURIComponent(this.prefix)}&limit=${PAGE_COUNT}&keys_only`;
    let page;
    try {
      page = await ask(`/v1/kv?${query}${after ? `&after=${inQuery(after)}` : ''}`);
    } catch (error) {
      if (turn === this.asked) this.note(`The keys could not be read: ${error.message}.`);
      return;
    }
    if (turn !== this.asked) return;
    this.after = after;
    const hasNext = page.next != null || page.next_base64 !== undefined;
    this.next = hasNext ? { key: page.next ?? undefined, key_base64: page.next_base64 } : null;
    byId('key-list').replaceChildren(...page.kvs.map((record) => this.row(record)));
    byId('first-page').disabled = !after;
    byId('next-page').disabled = !hasNext;
    const found = page.count === 1 ? '1 key' : `${number(page.count)} keys`;
    const where = this.prefix ? `${page.count === 1 ? 'begins' : 'begin'} with “${this.prefix}”` : 'in all';
    this.note(`${found} ${where}${page.kvs.length < page.count ? `; ${page.kvs.length} of them here` : ''}.`);
  }

  row(record) {
    const name = shownKey(record);
    const button = make('button', { type: 'button', className: 'mono', textContent: name });
    button.addEventListener('click', () => this.open(record));
    const version = `changed ${number(record.version)} time${record.version === 1 ? '' : 's'}`;
    return make('tr', {}, make('td', {}, button), make('td', { textContent: `revision ${number(record.mod_revision)}` }), make('td', { textContent: version }));
  }

  note(words) {
    byId('keys-note').textContent = words;
    announce(words);
  }
}
