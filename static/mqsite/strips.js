// Partition strips: the server says where everything is, this sets it; CSS moves what the attributes say.
import { all, one, setAttribute, setFields, setIcon, setText, show } from './dom.js';

const TREND_MS = 5_000; // a lag is called falling or growing against what it was so long ago
const NUMBERS_MS = 900; // positions at the pace of the frames, the numbers of a row at most once a second
const lags = new WeakMap();
const said = new WeakMap();

export function updateTopic(root, topic) {
  calmly(root, () => setFields(root, topic));
  const say = topic.packed ? sayPacked : sayPartition;
  const rows = new Map(all('[data-p]', root).map(row => [row.dataset.p, row]));
  let moved = false;
  for (const partition of topic.partitions) {
    const row = rows.get(String(partition.number));
    if (!row) continue;
    moved = placePartition(row, partition) || moved;
    calmly(row, () => say(row, partition, Date.now()));
  }
  return moved;
}

// At once when nothing was said for a while, else when it is time again: the last words are never left out.
function calmly(node, say) {
  const last = said.get(node) ?? { at: 0, timer: null };
  clearTimeout(last.timer);
  const speak = () => { said.set(node, { at: Date.now(), timer: null }); say(); };
  const wait = last.at + NUMBERS_MS - Date.now();
  if (wait <= 0) speak();
  else said.set(node, { at: last.at, timer: setTimeout(speak, wait) });
}

function placePartition(row, p) {
  show(one('[data-log]', row), !p.empty);
  show(one('[data-none]', row), p.empty);
  show(one('.tear', row), p.torn);
  let moved = false;
  for (const [selector, name, value] of [['.s-bed', 'width', p.bed], ['.s-comb', 'width', p.bed], ['.s-end', 'x', p.bed], ['.s-some', 'width', p.some], ['.s-all', 'width', p.all]]) {
    moved = setAttribute(one(selector, row), name, value) || moved;
  }
  moved = row.dataset.end !== p.end || moved;
  row.dataset.end = p.end;
  const marks = new Map(all('.mk', row).map(mark => [mark.dataset.m, mark]));
  for (const m of p.marks) {
    const mark = marks.get(m.group);
    if (!mark) continue;
    moved = setAttribute(mark, 'x', m.x) || moved;
    mark.classList.toggle('flip', m.flip);
    mark.classList.toggle('hollow', m.hollow);
    setAttribute(one('.hd', mark), 'href', `#${m.mark}`);
    const text = one('text', mark);
    if (text) setAttribute(text, 'x', m.flip ? '-11' : '11');
    setText(text, m.label);
  }
  return moved;
}

function sayPartition(row, p, now) {
  for (const field of ['start', 'end', 'empty_text']) setText(one(`[data-t=${field}]`, row), p[field]);
  const lines = new Map(all('[data-g]', row).map(line => [line.dataset.g, line]));
  for (const m of p.marks) {
    const line = lines.get(m.group);
    if (!line) continue;
    for (const field of ['behind', 'age']) setText(one(`[data-t=${field}]`, line), m[field]);
    setAttribute(one('[data-t=age]', line), 'class', `t ${m.state === 'warn' ? 'warn' : 'sub'}`);
    setText(one('[data-by]', row), m.by);
    setAttribute(one('.hd', line), 'href', `#${m.mark}`);
    sayState(line, m, now);
  }
}

function sayState(line, m, now) {
  const trend = m.state === 'late' ? trendOf(line, m.lag, now) : null;
  if (m.state !== 'late') lags.delete(line);
  const icon = trend ? { falling: 'down', growing: 'up', level: 'none' }[trend] : m.state;
  setIcon(one('.si svg', line), icon, m.state === 'ok' || m.state === 'warn' ? m.state : 'idle');
  setText(one('[data-t=say]', line), { falling: 'catching up', growing: 'falling behind' }[trend] ?? m.say);
}

function trendOf(line, lag, now) {
  const seen = lags.get(line) ?? [];
  seen.push({ now, lag });
  while (seen.length > 1 && seen[1].now <= now - TREND_MS) seen.shift();
  lags.set(line, seen);
  return lag < seen[0].lag ? 'falling' : lag > seen[0].lag ? 'growing' : 'level';
}

function sayPacked(row, p) {
  setText(one('[data-t=end]', row), p.end);
  const chip = one('[data-worst]', row), state = p.worst?.state, warn = state === 'warn';
  chip.classList.toggle('warn', warn);
  setIcon(one('svg', chip), warn || state === 'pause' ? state : 'none', warn ? 'warn' : 'idle');
  setText(one('[data-t=worst]', row), p.empty ? 'empty' : p.worst?.behind ?? '');
}
