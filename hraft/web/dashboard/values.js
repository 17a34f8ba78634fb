// One key, shown and changed. A change goes through only if the key is still as it was shown: whoever was faster is not overwritten.

import { announce, byId, number } from './elements.js';
import { ask, bytesOf, hex, inQuery, shownKey } from './keys.js';

const SHOWN_BYTES = 4096;

export class Values {
  constructor(changed, rights) {
    this.changed = changed;
    this.rights = rights;
    this.dialog = byId('value');
    byId('value-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.save();
    });
    byId('value-close').addEventListener('click', () => this.dialog.close());
    byId('value-delete').addEventListener('click', () => this.remove());
    byId('value-overwrite').addEventListener('click', () => this.overwrite());
    byId('value-reload').addEventListener('click', () => this.show(this.current));
    byId('value-text').addEventListener('input', () => (byId('value-save').disabled = false));
    this.dialog.addEventListener('close', () => this.back?.isConnected && this.back.focus());
  }

  // Without a record: a new key, whose name begins so.
  async open(record, prefix = '') {
    this.back = document.activeElement;
    this.name = record && (record.key_base64 === undefined ? { key: record.key } : { key_base64: record.key_base64 });
    this.show(null);
    byId('value-key').value = record ? shownKey(record) : prefix;
    this.dialog.showModal();
    if (record) await this.read();
    else byId('value-key').focus();
  }

  async read() {
    try {
      // Of exactly this key: from it on, and before the next that there could be.
      const page = await ask(`/v1/kv?start=${inQuery(this.name)}&end=${inQuery(this.name)}%00`);
      if (page.kvs.length) this.show(page.kvs[0]);
      else this.isGone();
    } catch (error) {
      this.problem(`The value could not be read: ${error.message}.`);
    }
  }

  // `record` null: there is no such key.
  show(record) {
    this.record = this.current = record;
    const isNew = !this.name;
    const isText = record?.value_base64 === undefined;
    const isReadOnly = (this.isReadOnly = !isNew && !this.rights.mayWrite(this.name));
    byId('value-title').textContent = isNew ? 'New key' : shownKey(this.name);
    byId('value-key').readOnly = !isNew;
    byId('value-text').value = record?.value ?? '';
    // A text area knows line feeds only, and what nobody has typed must not change.
    this.isCrlf = /\r\n/.test(record?.value ?? '') && !/\r(?!\n)|(?<!\r)\n/.test(record.value);
    byId('value-text').readOnly = isReadOnly;
    byId('value-text').hidden = isReadOnly && !isText;
    byId('value-label').textContent = isText ? 'Value' : isReadOnly ? 'Value: these bytes are no text' : 'Value: these bytes are no text; what is typed here takes their place';
    byId('value-bytes').hidden = isText;
    if (!isText) byId('value-bytes').textContent = dump(bytesOf(record.value_base64));
    byId('value-about').textContent = record ? `${about(record)}${isReadOnly ? '. You may read this key, and not change it' : ''}` : isNew ? 'It is made only if there is none of that name.' : '';
    byId('value-delete').hidden = !record || isReadOnly;
    byId('value-save').hidden = isReadOnly;
    byId('value-save').textContent = record || !isNew ? 'Save' : 'Create';
    // Bytes that cannot be shown as text are not replaced by nothing because somebody has looked at them.
    byId('value-save').disabled = !isText;
    this.disarm();
    this.problem('');
  }

  async save() {
    const name = this.name ?? { key: byId('value-key').value };
    const text = byId('value-text').value;
    const put = { ...name, value: this.isCrlf ? text.replaceAll('\n', '\r\n') : text, lease: this.record?.lease ?? undefined };
    await this.change(name, { put }, this.name ? 'Saved' : 'Created');
  }

  // Asked twice, in the same place.
  async remove() {
    const button = byId('value-delete');
    if (!this.isArmed) {
      this.isArmed = true;
      button.textContent = 'Delete for good?';
      return;
    }
    await this.change(this.name, { delete: this.name }, 'Deleted');
  }

  disarm() {
    this.isArmed = false;
    byId('value-delete').textContent = 'Delete…';
  }

  async overwrite() {
    const text = byId('value-text').value;
    this.record = this.current;
    this.name ??= { key: byId('value-key').value };
    byId('value-text').value = text;
    await this.save();
  }

  async change(name, operation, done) {
    const compare = [{ ...name, target: 'mod_revision', op: '=', mod_revision: this.record?.mod_revision ?? 0 }];
    this.disarm();
    this.problem('');
    try {
      const answer = await ask('/v1/txn', { compare, then: [operation], else: [{ get: name }] });
      if (!answer.succeeded) {
        this.conflict(answer.results[0].get.kvs[0] ?? null);
        return;
      }
    } catch (error) {
      const isUnknown = error.outcome === 'unknown';
      const advice = isUnknown ? ' It is not known whether it was done. Doing it again is safe: it happens at most once.' : ' Nothing was changed.';
      this.problem(`${error.message}.${advice}`);
      return;
    }
    this.dialog.close();
    announce(`${done}: ${shownKey(name)}`);
    this.changed();
  }

  // Somebody was faster. Nothing was changed, and what was typed stays.
  conflict(current) {
    this.current = current;
    const isNew = !this.name;
    if (!current) {
      this.isGone();
      return;
    }
    const first = isNew ? 'There is a key of that name already.' : 'Somebody has changed it meanwhile.';
    const now = current.value === undefined ? `${bytesOf(current.value_base64).length} bytes that are no text` : `“${current.value.slice(0, 500)}”`;
    if (isNew) this.name = { key: byId('value-key').value };
    byId('value-key').readOnly = true;
    this.problem(`${first} Nothing was changed. As of revision ${number(current.mod_revision)} it is ${now}.`);
    byId('value-overwrite').hidden = byId('value-reload').hidden = false;
  }

  isGone() {
    this.record = this.current = null;
    byId('value-delete').hidden = true;
    byId('value-about').textContent = '';
    this.problem(`This key is not there any more.${this.isReadOnly ? '' : ' Nothing was changed. “Save” makes it anew.'}`);
  }

  problem(words) {
    const box = byId('value-problem');
    box.hidden = !words;
    box.textContent = words && `✕ ${words}`;
    byId('value-overwrite').hidden = byId('value-reload').hidden = true;
  }
}

function about(record) {
  const bytes = record.value_base64 === undefined ? new TextEncoder().encode(record.value).length : bytesOf(record.value_base64).length;
  const lease = record.lease ? `, dies with lease ${record.lease}` : '';
  const lines = /\r(?!\n)/.test(record.value ?? '') ? '; its carriage returns become line feeds when it is saved here' : '';
  return `${number(bytes)} bytes, version ${number(record.version)}, changed at revision ${number(record.mod_revision)}, made at ${number(record.create_revision)}${lease}${lines}`;
}

// Sixteen bytes a line, as a person reads them.
function dump(bytes) {
  const lines = [];
  for (let offset = 0; offset < Math.min(bytes.length, SHOWN_BYTES); offset += 16) {
    const part = bytes.slice(offset, offset + 16);
    const text = Array.from(part, (byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${offset.toString(16).padStart(6, '0')}  ${hex(part).padEnd(47)}  ${text}`);
  }
  if (bytes.length > SHOWN_BYTES) lines.push(`… and ${number(bytes.length - SHOWN_BYTES)} more`);
  return lines.join('\n');
}
