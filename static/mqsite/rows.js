// Tables of newest records and of dead letters. Held while the pointer or the focus is inside.
import { all, calm, one, reconcile, setAttribute, setText } from './dom.js';

const MOST_SLIDING = 5;
const waiting = new WeakMap();

export function updateRows(body, part) {
  const area = body.closest('.tw');
  if (area.matches(':hover, :focus-within')) {
    hold(body, area, part);
    return false;
  }
  sayHeld(area, '');
  for (const node of all('[data-follow]', area.closest('.sec'))) setText(node, part[node.dataset.follow] ?? '');
  const blank = one('template', area).content.firstElementChild;
  const made = reconcile(body, part.rows, { make: () => blank.cloneNode(true), fill: fillRow });
  if (!calm.matches && made.length <= MOST_SLIDING) {
    for (const row of made) row.animate([{ opacity: 0, transform: 'translateY(-16px)' }, { opacity: 1, transform: 'none' }], { duration: 240, easing: 'ease-out' });
  }
  return made.length > 0;
}

function fillRow(row, { key, id, cells }) {
  all('[data-c]', row).forEach((cell, at) => setText(cell, cells[at]));
  for (const link of all('[data-href]', row)) {
    setAttribute(link, 'href', link.dataset.href.replace('{id}', id ?? key));
    if (link.dataset.label) setAttribute(link, 'aria-label', link.dataset.label.replace('{id}', id ?? key));
  }
}

function hold(body, area, part) {
  const have = new Set([...body.children].map(row => row.dataset.key));
  const fresh = part.rows.filter(row => !have.has(row.key)).length;
  sayHeld(area, fresh ? `Held while you are here: ${fresh === part.rows.length ? `${fresh} or more` : fresh} new.` : '');
  if (!waiting.has(body)) {
    const release = () => setTimeout(() => {
      if (area.matches(':hover, :focus-within')) return;
      updateRows(body, waiting.get(body));
      waiting.delete(body);
      area.removeEventListener('pointerleave', release);
      area.removeEventListener('focusout', release);
    });
    area.addEventListener('pointerleave', release);
    area.addEventListener('focusout', release);
  }
  waiting.set(body, part);
}

const sayHeld = (area, text) => setText(one('.held', area.closest('.sec')), text);
