// Joins the socket to the parts of the page. A part is an element with data-part; its data-shape says
// which rows and groups it has. When that differs, the server's own HTML is fetched and put in place.
import { all, one, setText } from './dom.js';
import { updateGroup, updateHead } from './head.js';
import { updateQueue } from './lanes.js';
import { Live } from './live.js';
import { updateRows } from './rows.js';
import { updateTopic } from './strips.js';

const UPDATE = { head: updateHead, group: updateGroup, topic: updateTopic, queue: updateQueue, records: updateRows, dead: updateRows, members: updateRows, parked: updateRows, holders: updateRows, redrives: updateRows, outcomes: updateRows, workers: updateGroup, processes: updateRows, handlers: updateRows };
const RESHAPE_MS = 1500, TITLE_MS = 10_000, POLITE_MS = 15_000;
const latest = new Map();
let keys = [], held = null, reshaping = false, titledAt = 0, politeAt = Date.now(), spoken = '';

const partOf = key => one(`[data-part="${CSS.escape(key)}"]`);
const fits = (node, part) => node && node.dataset.shape === (part.shape ?? '');

function apply(frame) {
  keys = frame.keys;
  let moved = false, misfit = keys.some(key => !partOf(key)) || all('[data-parts] > [data-part]').some(node => !keys.includes(node.dataset.part));
  for (const [key, part] of Object.entries(frame.sections)) {
    latest.set(key, part);
    if (fits(partOf(key), part)) moved = update(key, part, frame.events) || moved;
    else misfit = true;
  }
  // a queue may have moved and be as it was: sent, received and acked between two snapshots
  for (const name of Object.keys(frame.events)) {
    const key = `queue:${name}`;
    if (!(key in frame.sections) && latest.has(key) && partOf(key)) moved = update(key, latest.get(key), frame.events) || moved;
  }
  if (misfit) reshape();
  return moved;
}

function update(key, part, events = {}) {
  const [kind, name] = [key.slice(0, key.indexOf(':') < 0 ? key.length : key.indexOf(':')), key.slice(key.indexOf(':') + 1)];
  if (part.heading ?? part.say) speak(part.heading ?? part.say);
  if (kind === 'topic') for (const node of all('main > .head [data-follow]')) setText(node, part[node.dataset.follow] ?? '');
  if (part.title) retitle(part.title);
  return UPDATE[kind]?.(partOf(key), part, events[name]);
}

async function reshape() {
  if (reshaping) return;
  reshaping = true;
  try {
    const response = await fetch(location.pathname + location.search, { headers: { Accept: 'text/html' } });
    if (response.ok && !response.redirected) replaceParts(new DOMParser().parseFromString(await response.text(), 'text/html'));
    for (const [key, part] of latest) if (keys.includes(key) && fits(partOf(key), part)) update(key, part);
  } catch { /* not connected: the next snapshot asks again */ }
  setTimeout(() => {
    reshaping = false;
    if (live?.connected && keys.some(key => latest.has(key) && !fits(partOf(key), latest.get(key)))) reshape(); // it changed meanwhile
  }, RESHAPE_MS);
}

function replaceParts(fresh) {
  for (const list of all('[data-parts]')) {
    const kind = list.dataset.parts, source = one(`[data-parts="${kind}"]`, fresh);
    const wanted = all(':scope > [data-part]', source), names = wanted.map(node => node.dataset.part);
    for (const node of all(':scope > [data-part]', list)) if (!names.includes(node.dataset.part)) node.remove();
    wanted.forEach((node, at) => {
      const mine = partOf(node.dataset.part);
      if (!mine) list.insertBefore(document.adoptNode(node), list.children[at] ?? null);
      else if (mine.dataset.shape !== node.dataset.shape) mine.replaceWith(document.adoptNode(node));
    });
  }
}

function retitle(title) {
  if (Date.now() - titledAt < TITLE_MS || document.title === title) return;
  titledAt = Date.now();
  document.title = title;
}

function speak(sentence) {
  if (Date.now() - politeAt < POLITE_MS || spoken === sentence) return;
  politeAt = Date.now();
  spoken = sentence;
  setText(one('#polite'), sentence);
}

// "Hold still" freezes the picture, not the truth in the badge.
function take(frame) {
  if (!held) return apply(frame);
  held.keys = frame.keys;
  Object.assign(held.sections, frame.sections);
  for (const [name, { counts, messages }] of Object.entries(frame.events)) {
    const mine = held.events[name] ??= { counts: {}, messages: [] };
    for (const [event, count] of Object.entries(counts)) mine.counts[event] = (mine.counts[event] ?? 0) + count;
    mine.messages = [...mine.messages, ...messages].slice(-48);
  }
  live.heldFrames += 1;
  return false;
}

function bindHold() {
  const button = one('#hold');
  if (!button) return;
  button.hidden = false;
  button.addEventListener('click', () => {
    const frame = held;
    held = held ? null : { keys, sections: {}, events: {} };
    live.heldFrames = held ? 0 : null;
    button.setAttribute('aria-pressed', String(Boolean(held)));
    button.textContent = held ? 'Let it move' : 'Hold still';
    if (frame) apply(frame);
    live.say();
  });
}

const path = document.body.dataset.live;
const live = path ? new Live(path, take) : null;
if (live) bindHold();
