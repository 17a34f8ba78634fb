// The stream of figures, and whether it is alive. A node that was killed closes it; one behind a cut network only falls silent.

const SILENCE_MS = 3500; // Three figures that did not come.
const RETRY_MS = 2000;

export class Connection {
  // `heard(kind, document)` for each message; `changed(state)` when `state.kind` becomes live or cut, with words for people.
  constructor({ heard, changed }) {
    this.heard = heard;
    this.changed = changed;
    this.kind = 'waiting';
    this.words = '';
    this.lastHeard = null;
    this.openedAt = 0;
    this.open();
    setInterval(() => this.look(), 500);
  }

  open() {
    this.source?.close();
    this.openedAt = Date.now();
    const source = (this.source = new EventSource('/v1/events'));
    for (const kind of ['figures', 'happenings']) {
      source.addEventListener(kind, (event) => {
        if (source !== this.source) return;
        this.lastHeard = new Date();
        this.heard(kind, JSON.parse(event.data));
        this.become('live', '');
      });
    }
    source.addEventListener('error', (event) => {
      if (source !== this.source) return;
      // With data it is the node's own last word; without, the connection was lost or refused.
      this.become('cut', event.data ? JSON.parse(event.data).detail : 'the connection was lost');
      if (!event.data && source.readyState === EventSource.CLOSED) this.askWhy();
    });
  }

  // An EventSource does not tell why it was refused; an ordinary request does.
  async askWhy() {
    try {
      const response = await fetch('/v1/status', { cache: 'no-store' });
      if (response.ok) return;
      const words = {
        401: 'this node wants to know who you are: reload the page to log in',
        403: 'this node knows who you are, and you may not see this',
      }[response.status];
      const problem = await response.json().catch(() => ({}));
      this.become('cut', words ?? problem.detail ?? `it answers with status ${response.status}`);
    } catch {
      this.become('cut', 'this node does not answer');
    }
  }

  look() {
    const now = Date.now();
    const silence = now - Math.max(this.lastHeard?.getTime() ?? 0, this.openedAt);
    if (this.kind !== 'cut' && silence > SILENCE_MS) this.become('cut', 'nothing has come from this node for some seconds');
    const isDead = this.source.readyState === EventSource.CLOSED ? now - this.openedAt > RETRY_MS : silence > 2 * SILENCE_MS;
    if (this.kind === 'cut' && isDead) this.open();
    if (this.kind === 'cut') this.changed(this);
  }

  become(kind, words) {
    this.kind = kind;
    this.words = words;
    this.changed(this);
  }
}
