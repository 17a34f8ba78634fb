// What whoever looks at this page may do with keys, so that nothing is offered that the node would refuse. It is the node that decides.

import { ask, bytesOf } from './keys.js';

export class Rights {
  constructor() {
    // Until the node has said it, and where it does not: what is refused is said in words.
    this.user = { user: null, role: 'admin', keys: null };
  }

  async load() {
    this.user = await ask('/v1/user').catch(() => this.user);
  }

  // Whether there is any key that may be written.
  get mayWriteSome() {
    const { role, keys } = this.user;
    return role !== 'read' && (keys === null || keys.some((rule) => rule.access === 'write'));
  }

  mayWrite(name) {
    const { keys } = this.user;
    if (!this.mayWriteSome || keys === null) return this.mayWriteSome;
    const key = bytes(name.key, name.key_base64);
    return keys.some((rule) => rule.access === 'write' && beginsWith(key, bytes(rule.prefix, rule.prefix_base64)));
  }
}

const bytes = (text, base64) => (base64 === undefined ? new TextEncoder().encode(text) : bytesOf(base64));
const beginsWith = (key, prefix) => prefix.every((byte, place) => key[place] === byte);
