// How a card moves: first, last, invert, play. Through element.animate, which a strict CSP allows.
import { all, calm, one } from './dom.js';

const MOVE = { duration: 240, easing: 'cubic-bezier(.2,.7,.2,1)' };

export function flip(root, change) {
  if (calm.matches) return change();
  const was = new Map(all('.card', root).map(card => [card, card.getBoundingClientRect()]));
  change();
  for (const [card, from] of was) {
    if (!card.isConnected) continue;
    const to = card.getBoundingClientRect(), dx = from.left - to.left, dy = from.top - to.top;
    if (dx || dy) card.animate([{ transform: `translate(${dx}px,${dy}px)` }, { transform: 'none' }], MOVE);
  }
}

export function enter(card) {
  if (!calm.matches) card.animate([{ opacity: 0, transform: 'translateX(-16px)' }, { opacity: 1, transform: 'none' }], MOVE);
}

// Slides over the dashed line, narrows to nothing, and is not there.
export function leave(root, ghost, from, lane) {
  if (calm.matches || from.bottom < 0 || from.top > innerHeight) return;
  const gone = one('.lane.gone', root).getBoundingClientRect(), slot = one('[data-slot]', root).getBoundingClientRect();
  const to = slot.width ? slot : { left: gone.left + 12, top: gone.top + 44 };
  const way = `translate(${to.left - from.left}px,${to.top - from.top}px)`;
  ghost.classList.add('ghost', lane);
  ghost.setAttribute('aria-hidden', 'true');
  Object.assign(ghost.style, { left: `${from.left}px`, top: `${from.top}px` });
  document.body.append(ghost);
  ghost.animate(
    [{ transform: 'none', opacity: 1 }, { transform: way, opacity: 0.9, offset: 0.6 }, { transform: `${way} scaleX(.02)`, opacity: 0 }],
    { duration: 420, easing: 'ease-in' },
  ).onfinish = () => ghost.remove();
}

export function leaveTrace(root, text) {
  const slot = one('[data-slot]', root), visible = calm.matches ? 1 : 0;
  slot.textContent = text;
  slot.animate([{ opacity: visible }, { opacity: visible, offset: 0.2 }, { opacity: 1, offset: 0.25 }, { opacity: visible }], 1600);
}
