// The words above the pictures: the sentence, the counts, what needs attention.
import { one, reconcile, setAttribute, setFields, setIcon, setText } from './dom.js';

export function updateHead(root, head) {
  setFields(root, head);
  updateCounts(one('[data-counts]', root), head.counts);
  const list = one('[data-problems]', root), blank = list.nextElementSibling.content;
  reconcile(list, head.problems, { make: () => blank.firstElementChild.cloneNode(true), fill: fillProblem });
  reconcile(one('[data-drift]', root), head.drift.map(text => ({ key: text, text })), { make: makeNote, fill: () => {} });
  return false;
}

export function updateGroup(root, group) {
  setFields(root, group);
  [...one('[data-facts]', root).children].forEach((span, at) => setText(span, group.facts[at] ?? ''));
  const notes = group.notes.map(note => ({ key: note.key, title: note.title, text: note.text }));
  reconcile(one('[data-notes]', root), notes, {
    make: makeNote,
    fill: (node, note) => { setText(one('b', node), note.title); setText(one('p', node), note.text); },
  });
  return false;
}

function updateCounts(line, counts) {
  counts.forEach((count, at) => {
    const span = line.children[at];
    setText(one('a', span) ?? span, count.text);
  });
}

function fillProblem(node, problem) {
  setIcon(one('svg', node), problem.kind, problem.kind);
  setText(one('[data-text]', node), problem.text);
  for (const [name, text] of [['title', problem.title], ['do', problem.action]]) {
    const link = one(`[data-${name}]`, node);
    setText(link, text);
    if (problem.href) setAttribute(link, 'href', problem.href);
  }
  one('[data-do]', node).hidden = !problem.href;
}

function makeNote(note) {
  const node = document.createElement('div'), words = document.createElement('div'), svg = one('#live svg').cloneNode(true);
  setIcon(svg, 'warn', 'warn');
  node.className = 'note warn';
  if (note.title) words.append(document.createElement('b'), ' ');
  const text = document.createElement('p');
  text.textContent = note.text;
  words.append(text);
  node.append(svg, words);
  return node;
}
