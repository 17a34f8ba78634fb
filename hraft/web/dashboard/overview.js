// The cluster as one node sees it: who leads, the figures, the members, the alarms, and what has happened.

import { announce, byId, duration, linkTo, make, number, say, sign, size, timeOf } from './elements.js';
import { Sparkline } from './sparkline.js';

const EVENTS_COUNT = 200;
const SILENT_MS = 2000; // A voter that the leader has not heard for so long is not there.
const KINDS = {
  election: ['⚑', 'Election'],
  members: ['☷', 'Members'],
  snapshot: ['▣', 'Snapshot'],
  alarm: ['⚠', 'Alarm'],
};

export class Overview {
  constructor() {
    this.writes = new Sparkline(byId('writes-line'), 'Writes', 'per second');
    this.agreement = new Sparkline(byId('agreement-line'), 'Time to agree', 'ms');
    this.rows = new Map();
    this.alarms = '';
    this.lastNumber = 0;
    this.members = [];
  }

  figures({ cluster, node, writes_per_second: writes, write_ms: write, agreement_ms: agreement }) {
    this.members = cluster.members;
    this.me = node.me.id;
    say(byId('node-id'), node.me.id);
    say(byId('node-about'), `This page is served by ${node.me.id}, a ${node.role} of term ${number(node.term)}, and shows what that node knows.`);
    say(byId('version'), `hraft ${node.version}`);
    say(byId('cluster-id'), cluster.cluster_id);
    this.leader(cluster, node);
    this.numbers(node, writes, write, agreement);
    this.disk(node, node.disk);
    this.table(cluster);
    this.alarm(cluster.alarms ?? []);
  }

  leader(cluster, node) {
    const line = byId('leader-line');
    const { leader } = cluster;
    const words = leader ? `★ ${leader.id} leads in term ${number(cluster.term)}` : `✕ No leader is known (term ${number(cluster.term)})`;
    say(line, words);
    line.classList.toggle('none', !leader);
    document.title = `${leader ? `${leader.id} leads` : 'no leader'} · hraft`;
    announce(words.slice(2));
    say(byId('quorum-line'), quorum(cluster));
  }

  numbers(node, writes, write, agreement) {
    say(byId('writes'), writes === null ? '–' : number(writes));
    // The first figures come before anything could be measured.
    say(byId('agreement'), agreement !== null ? number(agreement) : this.agreement.values.length ? 'no answer' : '–');
    say(byId('agreement-unit'), agreement !== null ? 'ms until a majority has answered' : this.agreement.values.length ? 'from a majority' : '');
    say(byId('write-time'), write === null ? 'this node has answered none' : `this node answers them in ${number(write)} ms`);
    this.writes.push(writes);
    this.agreement.push(agreement);
    const hasKeys = node.keys_count !== undefined;
    byId('keys').hidden = !hasKeys;
    say(byId('keys-count'), hasKeys ? number(node.keys_count) : 'none');
    say(byId('revision'), hasKeys ? `revision ${number(node.revision)}, ${number(node.leases_count)} leases` : "an application's own state");
    say(byId('age'), node.age_ms === null ? 'unknown' : node.age_ms < 1000 ? 'up to date' : `${duration(node.age_ms)} old`);
    byId('age').classList.toggle('trouble', node.age_ms === null || node.age_ms >= 5000);
    const behind = node.commit_index - node.applied_index;
    say(byId('applied'), `applied ${number(node.applied_index)}${behind > 0 ? `, ${number(behind)} behind` : ''}`);
  }

  // Sizes are looked at now and then, and a node without a disk has none.
  disk(node, disk) {
    const entries = Math.max(0, node.last_index - node.first_index + 1);
    say(byId('log-entries'), disk ? size(disk.log_bytes) : number(entries));
    say(byId('log-range'), entries ? `entries ${number(node.first_index)} to ${number(node.last_index)}` : 'no entries');
    say(byId('snapshot'), !node.snapshot_index ? 'none yet' : disk ? size(disk.snapshots_bytes) : number(node.snapshot_index));
    const since = number(node.applied_index - node.snapshot_index);
    say(byId('snapshot-age'), node.snapshot_index ? `of entry ${number(node.snapshot_index)}, ${since} applied since` : `${since} entries applied`);
    say(byId('disk-free'), disk ? `${size(disk.free_bytes)} free on the disk` : '');
  }

  table(cluster) {
    const ids = new Set(cluster.members.map((member) => member.id));
    for (const [id, row] of this.rows) {
      if (!ids.has(id)) {
        row.element.remove();
        this.rows.delete(id);
      }
    }
    const isTold = knowsMembers(cluster);
    const note = byId('members-note');
    note.hidden = cluster.members.some((member) => member.self && member.leader);
    if (!note.hidden) this.pointToLeader(note, cluster.leader, isTold);
    for (const member of cluster.members) {
      const row = this.rows.get(member.id) ?? this.row(member.id);
      row.show(member, isTold);
    }
  }

  // Whose words they are, and where its own page is.
  pointToLeader(note, leader, isTold) {
    const key = `${isTold} ${leader?.id} ${leader?.http_address}`;
    if (note.dataset.leader === key) return;
    note.dataset.leader = key;
    const link = leader?.http_address ? linkTo(leader.http_address) : null;
    const words = isTold ? `How far each member is, and when it was heard, as ${leader.id} says, which leads` : 'How far each member is, and when it was heard, only the leader knows';
    note.replaceChildren(...(link ? [`${words}; its own page is `, link, '.'] : [`${words}.`]));
  }

  row(id) {
    const [name, role, lag, contact, match, page] = [make('th', { scope: 'row' }), ...['Role', 'Lag', 'Last contact', 'Log up to', 'Dashboard'].map(cell)];
    const element = make('tr', {}, name, role, lag, contact, match, page);
    byId('members').append(element);
    let shown = '';
    const show = (member, isTold) => {
      const told = `${member.leader} ${member.voter} ${member.self} ${member.http_address}`;
      if (told !== shown) {
        shown = told;
        name.replaceChildren(id, ...(member.self ? [' ', make('span', { className: 'tag', textContent: 'this node' })] : []));
        role.replaceChildren(roleOf(member));
        page.replaceChildren((member.http_address && linkTo(member.http_address)) || member.http_address || 'not known yet');
      }
      const isSilent = member.last_contact_ms !== null && member.last_contact_ms > SILENT_MS;
      say(lag, member.lag === null ? 'not known here' : member.lag ? `${number(member.lag)} entries` : 'none');
      say(contact, contactOf(member, isTold, isSilent));
      contact.classList.toggle('trouble', isSilent || (isTold && member.last_contact_ms === null));
      say(match, member.match_index === null ? '–' : number(member.match_index));
    };
    const made = { element, show };
    this.rows.set(id, made);
    return made;
  }

  alarm(alarms) {
    const key = JSON.stringify(alarms.map(({ kind, members, detail }) => [kind, members, detail]));
    if (key === this.alarms) return;
    this.alarms = key;
    byId('alarms').replaceChildren(
      ...alarms.map(({ kind, members, detail, advice }) =>
        make('div', { className: 'banner alarm', attributes: { role: 'alert' } },
          make('strong', { textContent: `⚠ Alarm: ${kind}` }), ` on ${members.join(', ')}: ${detail}. What to do: ${advice}.`)),
    );
  }

  happenings(list) {
    const events = byId('events');
    // Numbers that begin anew are those of a new process.
    if (!this.lastNumber || list[0].number <= this.lastNumber) events.replaceChildren();
    for (const { number: count, at_seconds: seconds, kind, words } of list) {
      const [icon, name] = KINDS[kind] ?? ['•', kind];
      const at = new Date(seconds * 1000);
      events.prepend(
        make('li', {},
          make('span', { className: 'icon', textContent: icon, attributes: { 'aria-hidden': 'true' } }),
          make('span', {}, make('span', { className: 'kind', textContent: name }), ' ',
            make('time', { className: 'quiet', dateTime: at.toISOString(), title: at.toString(), textContent: timeOf(at) })),
          make('span', { textContent: words })),
      );
      this.lastNumber = count;
    }
    while (events.children.length > EVENTS_COUNT) events.lastChild.remove();
  }
}

const cell = (label) => make('td', { attributes: { 'data-label': label } });

function roleOf(member) {
  if (member.leader) return sign('★', 'Leader', 'role leader');
  if (member.voter) return sign('●', 'Voter', 'role');
  return member.replica ? sign('◇', 'Replica (does not vote)', 'role') : sign('○', 'Learner (catching up)', 'role');
}

function contactOf(member, isTold, isSilent) {
  if (!isTold) return 'not known here';
  if (member.last_contact_ms === null) return '✕ never';
  if (member.leader) return 'itself';
  return isSilent ? `✕ silent for ${duration(member.last_contact_ms)}` : `✓ ${duration(member.last_contact_ms)} ago`;
}

// Only the leader knows it of itself; another node, for as long as it is told.
const knowsMembers = (cluster) => cluster.members.some((member) => member.match_index !== null);

// How many voters may still be lost, in words, where it is known who is there.
function quorum(cluster) {
  const voters = cluster.members.filter((member) => member.voter);
  const learners = cluster.members.length - voters.length;
  const needed = Math.floor(voters.length / 2) + 1;
  const count = `${voters.length} voter${voters.length === 1 ? '' : 's'}${learners ? `, ${learners} without a vote` : ''}`;
  const change = cluster.configuration_committed ? '' : ' A change of members is under way.';
  if (!knowsMembers(cluster)) return `${count}; ${needed} make a majority.${change}`;
  const there = voters.filter((member) => member.self || (member.last_contact_ms !== null && member.last_contact_ms <= SILENT_MS)).length;
  const spare = there - needed;
  const words = spare < 0 ? 'too few for a majority' : spare === 0 ? 'none of them may be lost' : `${spare} of them may be lost`;
  return `${count}, ${there} of them there; ${words}.${change}`;
}
