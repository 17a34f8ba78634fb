// Puts the page together: the stream feeds the overview, and while it is cut off the page says so above everything else.

import { announce, byId, duration, linkTo, make, say, timeOf } from './elements.js';
import { Connection } from './connection.js';
import { Keys } from './keys.js';
import { Overview } from './overview.js';
import { Rights } from './rights.js';
import { Values } from './values.js';

const overview = new Overview();
const rights = new Rights();
const values = new Values(() => keys.reload(), rights);
const keys = new Keys((record, prefix) => values.open(record, prefix));

let wasCut = false;

function changed({ kind, words, lastHeard }) {
  const pill = byId('connection');
  const isCut = kind === 'cut';
  const asOf = lastHeard ? `as of ${timeOf(lastHeard)}` : 'no data yet';
  pill.className = `pill ${isCut ? 'cut' : kind}`;
  say(pill.firstElementChild, isCut ? '✕' : '●');
  say(byId('connection-words'), isCut ? `cut off, ${asOf}` : `live, ${asOf}`);
  document.documentElement.classList.toggle('is-old', isCut);
  if (isCut) showCut(words, lastHeard);
  else if (wasCut) {
    announce('The connection is back.');
    if (!byId('keys').hidden) keys.reload();
    learnRights();
  }
  byId('cut-off').hidden = !isCut;
  wasCut = isCut;
}

async function learnRights() {
  await rights.load();
  byId('new-key').hidden = !rights.mayWriteSome;
}

let shownCut = '';

// Built anew only when something but the time changes: it is an alert, and must not be read out each second.
function showCut(words, lastHeard) {
  const others = overview.members.filter((member) => !member.self && member.http_address);
  const key = JSON.stringify([words, lastHeard?.getTime(), others.map((member) => member.http_address)]);
  if (key !== shownCut) {
    shownCut = key;
    const links = others.map((member) => linkTo(member.http_address)).filter(Boolean);
    byId('cut-off').replaceChildren(
      make('strong', { textContent: `✕ Cut off from ${overview.me ?? 'this node'}: ${words}.` }),
      ' ',
      lastHeard ? `What is below is as of ${timeOf(lastHeard)}, ` : 'There are no figures yet. ',
      make('span', { id: 'cut-age', attributes: { 'aria-live': 'off' } }),
      ' This page goes on trying.',
      ...(links.length ? [make('p', { textContent: 'Ask another member:' }), make('ul', {}, ...links.map((link) => make('li', {}, link)))] : []),
    );
    document.title = `cut off · ${overview.me ?? 'hraft'}`;
  }
  if (lastHeard) say(byId('cut-age'), `${duration(Date.now() - lastHeard.getTime())} ago.`);
}

new Connection({ heard: (kind, document) => overview[kind](document), changed });
keys.load();
learnRights();
