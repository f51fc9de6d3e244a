// Queue lanes: one message is one card while a lane has few of them, a square after that.
// Cards walk the way their messages went, even when a message lived only for milliseconds: the events
// between two snapshots say which lanes it crossed. The snapshot has the last word.
import { all, calm, one, setAttribute, setFields, setText } from './dom.js';
import { enter, flip, leave, leaveTrace } from './flight.js';
import { number } from './words.js';

const LANES = ['scheduled', 'ready', 'waiting', 'leased', 'dead']; // waiting: in ordered queues only
const lanesOf = queue => LANES.filter(lane => queue.lanes[lane]);
const ELSEWHERE = ['scheduled', 'waiting']; // where a message may go when it is sent, other than to ready
const AFTER = { sent: 'ready', received: 'leased', returned: 'ready', acked: 'gone', dead: 'dead' };
const STEP_MS = 360; // 240 to move, the rest to be seen standing there
const MOST_MOVES = 10, PACE_MS = 2000; // a second, over this time: above it cards stop flying
const SAMPLE_MS = 400; // and one ack in so long is shown leaving
const LEFT = ['gone', 'none'];
const LONGEST_WAY = 4;
const GRACE_MS = 700;
const SHRINK_MS = 12_000, VERB_PX = 38;
const stacked = matchMedia('(max-width: 760px)');
const states = new WeakMap();

export function updateQueue(root, queue, events = { counts: {}, messages: [] }) {
  const state = states.get(root) ?? start(root);
  states.set(root, state);
  state.queue = queue;
  const before = root.dataset.mark;
  root.dataset.mark = lanesOf(queue).map(lane => queue.lanes[lane].n).join();
  const counts = Object.values(events.counts).reduce((sum, n) => sum + n, 0);
  const fast = isFast(state, counts, events.counts.acked ?? 0);
  const acked = fast || calm.matches ? arriveAtOnce(state, queue, events) : walk(state, queue, events);
  state.gone += acked;
  setText(one('[data-gone]', root), number(state.gone));
  sayLanes(root, queue);
  setText(one('[data-honest]', root), fast ? saySample(state) : queue.honest);
  keepHeight(state);
  restLater(state, fast);
  return counts > 0 || before !== root.dataset.mark;
}

function start(root) {
  const cards = new Map();
  for (const lane of LANES) for (const node of all(`[data-lane=${lane}] .card`, root)) cards.set(node.dataset.id, { node, lane, way: [] });
  return { root, cards, gone: 0, guessed: new Set(), paces: [], sampledAt: 0, flown: 0, timer: null, heights: [] };
}

// A queue at rest sends no frames: what was said of the rush, and the room it took, must end by themselves.
function restLater(state, fast) {
  clearTimeout(state.resting);
  state.resting = setTimeout(() => {
    if (fast) updateQueue(state.root, state.queue);
    else keepHeight(state);
  }, fast ? PACE_MS + 100 : SHRINK_MS + 100);
}

// ---- slow enough to follow: every move is shown

function walk(state, queue, events) {
  const targets = targetsOf(queue), asCards = queue.lanes.ready.unit === 1 && !queue.lanes.ready.squares;
  let acked = events.counts.acked ?? 0;
  for (const { id, label, event } of events.messages) {
    if (event === 'acked' && state.guessed.delete(id)) {
      acked -= 1;
      continue;
    }
    let card = state.cards.get(id);
    if (!card && asCards && event === 'sent') card = addCard(state, id, { label }, ELSEWHERE.includes(targets.get(id)) ? targets.get(id) : 'ready');
    else if (card && event !== 'sent') go(card, AFTER[event]);
  }
  for (const lane of lanesOf(queue)) for (const drawn of queue.lanes[lane].cards) {
    const card = state.cards.get(drawn.id) ?? addCard(state, drawn.id, drawn, lane);
    go(card, lane);
  }
  if (expectEvents(state, targets)) setTimeout(() => dropMissing(state), GRACE_MS);
  if (!state.timer) step(state);
  return acked;
}

const targetsOf = queue => new Map(lanesOf(queue).flatMap(lane => queue.lanes[lane].cards.map(card => [card.id, lane])));
const endOf = card => card.way.at(-1) ?? card.lane;

function go(card, lane) {
  if (endOf(card) !== lane) card.way.push(lane);
  if (card.way.length > LONGEST_WAY) card.way.splice(0, card.way.length - 1);
}

// A snapshot may be ahead of the events: what is in no lane any more waits a moment for the event that says why.
function expectEvents(state, targets) {
  let some = false;
  for (const [id, card] of state.cards) {
    const missing = !targets.has(id) && !LEFT.includes(endOf(card));
    card.missingSince = missing ? card.missingSince ?? Date.now() : null;
    some ||= missing;
  }
  return some;
}

// No event came (no hints): a leased card that is nowhere was acked, no other door leads out of Leased.
function dropMissing(state) {
  const complete = lanesOf(state.queue).every(lane => !state.queue.lanes[lane].squares);
  for (const [id, card] of state.cards) {
    if (!card.missingSince || Date.now() - card.missingSince < GRACE_MS - 50 || LEFT.includes(endOf(card))) continue;
    const acked = complete && endOf(card) === 'leased';
    go(card, acked ? 'gone' : 'none');
    if (!acked) continue;
    state.gone += 1;
    state.guessed.add(id);
    if (state.guessed.size > 500) state.guessed.clear();
  }
  setText(one('[data-gone]', state.root), number(state.gone));
  if (!state.timer) step(state);
}

function addCard(state, id, drawn, lane) {
  const node = makeCard(state.root, id);
  const card = { node, lane: null, way: [lane] };
  fillCard(node, { fact: '', times: '', left: '', ...drawn });
  state.cards.set(id, card);
  return card;
}

// One step for every card that has one to go; the neighbours close up in the same 240 ms.
function step(state) {
  const due = [...state.cards].filter(([, card]) => card.way.length);
  const leaving = [], entering = [];
  const arrange = () => {
    for (const [id, card] of due) {
      const lane = card.way.shift();
      if (LEFT.includes(lane) || state.queue.lanes[lane].squares) { // into a field of squares: one of many
        if (lane === 'gone' && card.lane) leaving.push([card.node.cloneNode(true), card.node.getBoundingClientRect(), card.lane]);
        card.node.remove();
        state.cards.delete(id);
        continue;
      }
      if (!card.lane) entering.push(card.node);
      card.lane = lane;
      listOf(state.root, lane).append(card.node);
    }
    settle(state);
  };
  if (due.length) flip(state.root, arrange); else arrange();
  entering.forEach(enter);
  leaving.forEach(([node, from, lane]) => leave(state.root, node, from, lane));
  if (leaving.length) leaveTrace(state.root, `${one('.k', leaving.at(-1)[0]).textContent} acked`);
  state.timer = [...state.cards.values()].some(card => card.way.length) ? setTimeout(() => step(state), STEP_MS) : null;
}

// What stands in the right lane gets the words and the place the snapshot gives it.
function settle(state) {
  for (const lane of lanesOf(state.queue)) {
    const list = listOf(state.root, lane), { cards } = state.queue.lanes[lane];
    let at = 0;
    for (const drawn of cards) {
      const card = state.cards.get(drawn.id);
      if (card?.lane !== lane) continue;
      fillCard(card.node, drawn);
      if (list.children[at] !== card.node) list.insertBefore(card.node, list.children[at] ?? null);
      at += 1;
    }
  }
}

// ---- too fast to follow, or no movement wanted: the picture is simply the snapshot's

function arriveAtOnce(state, queue, events) {
  clearTimeout(state.timer);
  state.timer = null;
  const targets = targetsOf(queue), leased = new Map([...state.cards].map(([id, card]) => [id, card]));
  const acked = events.messages.filter(({ event }) => event === 'acked');
  showSample(state, acked, leased);
  for (const [id, card] of state.cards) {
    if (targets.has(id)) continue;
    card.node.remove();
    state.cards.delete(id);
  }
  for (const [id, lane] of targets) {
    const card = state.cards.get(id) ?? addCard(state, id, {}, lane);
    card.way = [];
    if (card.lane !== lane) listOf(state.root, lane).append(card.node);
    card.lane = lane;
  }
  settle(state);
  state.guessed.clear();
  return events.counts.acked ?? 0;
}

function showSample(state, acked, cards) {
  const now = Date.now();
  if (!acked.length || now - state.sampledAt < SAMPLE_MS) return;
  state.sampledAt = now;
  state.flown += 1;
  const { id, label } = acked[0];
  leaveTrace(state.root, `${label} acked`);
  if (calm.matches) return;
  const node = cards.get(id)?.node.cloneNode(true) ?? makeCard(state.root, id, label);
  const from = (cards.get(id)?.node ?? one('[data-lane=leased] h3', state.root)).getBoundingClientRect();
  leave(state.root, node, from, 'leased');
}

function isFast(state, moves, acked) {
  const now = Date.now();
  state.paces.push({ now, moves, acked });
  while (state.paces[0].now < now - PACE_MS) state.paces.shift();
  const pace = sumOf(state, 'moves') / (PACE_MS / 1000);
  state.fast = pace > (state.fast ? MOST_MOVES * 0.8 : MOST_MOVES);
  return state.fast;
}

const sumOf = (state, what) => state.paces.reduce((sum, pace) => sum + pace[what], 0);

function saySample(state) {
  const shown = PACE_MS / SAMPLE_MS, n = Math.round(sumOf(state, 'acked') / shown);
  if (n < 2) return 'Too fast to show every move.';
  const round = n < 20 ? n : Number(n.toPrecision(1));
  return `1 ack in ${number(round)} is shown leaving.`;
}

// ---- drawing

// Lanes grow with their cards and shrink again late: what stands below would jump up and down.
function keepHeight(state) {
  const lanes = one('.lanes', state.root), now = Date.now();
  const needs = all('.cards, [data-field]:not([hidden])', lanes).filter(node => !node.closest('.dead, .waiting')).map(node => node.offsetTop + node.offsetHeight);
  state.heights = state.heights.filter(seen => now - seen.now < SHRINK_MS);
  state.heights.push({ now, height: Math.max(...needs) + VERB_PX });
  const rows = stacked.matches ? '' : `minmax(${Math.max(...state.heights.map(seen => seen.height))}px,1fr) auto`;
  if (lanes.style.gridTemplateRows !== rows) lanes.style.gridTemplateRows = rows;
}

const listOf = (root, lane) => one(`[data-lane=${lane}] .cards`, root);

function makeCard(root, id, label = '') {
  const address = root.dataset.messages; // on the page of the queue: a card leads to its message
  const node = document.createElement('li'), key = document.createElement(address ? 'a' : 'span'), fact = document.createElement('small'), times = document.createElement('span');
  node.className = 'card';
  node.dataset.id = id;
  key.className = 'k';
  key.textContent = label;
  if (address) key.href = `${address}${id}/`;
  times.className = 'x';
  times.hidden = true;
  node.append(key, fact, times);
  return node;
}

function fillCard(node, card) {
  if (card.label !== undefined) setText(one('.k', node), card.label);
  setText(one('small', node), card.fact ?? '');
  const times = one('.x', node);
  setText(times, card.times ?? '');
  times.hidden = !card.times;
  fillLease(node, card.left);
}

function fillLease(node, left) {
  let line = one('.lease', node);
  if (!left) return line?.remove();
  if (!line) {
    line = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    for (const [name, value] of [['class', 'lease'], ['width', '100%'], ['height', '2'], ['aria-hidden', 'true']]) line.setAttribute(name, value);
    const bar = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    bar.setAttribute('height', '2');
    line.append(bar);
    node.append(line);
  }
  setAttribute(line.firstElementChild, 'width', left);
}

function sayLanes(root, queue) {
  setFields(root, queue);
  for (const lane of lanesOf(queue)) {
    const node = one(`[data-lane=${lane}]`, root), drawn = queue.lanes[lane];
    setText(one('[data-count]', node), drawn.count);
    setText(one('[data-hint]', node), drawn.hint);
    setText(one('[data-said]', node), drawn.said);
    setAttribute(one('.cards', node), 'data-more', drawn.more);
    const field = one('[data-field]', node), s = drawn.squares;
    field.hidden = !s;
    if (!s) continue;
    setAttribute(one('.dots', field), 'viewBox', s.box);
    const [full, rest] = [one('[data-full]', field), one('[data-rest]', field)];
    setAttribute(full, 'width', String(s.width));
    setAttribute(full, 'height', String(s.full));
    setAttribute(rest, 'y', String(s.full));
    setAttribute(rest, 'width', String(s.rest));
  }
}
