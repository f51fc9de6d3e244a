// Text and attributes only, and only when they differ: an unchanged page costs no layout.
export const calm = matchMedia('(prefers-reduced-motion: reduce)');
export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

export function setText(node, text) {
  if (!node || node.textContent === text) return false;
  node.textContent = text;
  return true;
}

export function setAttribute(node, name, value) {
  if (!node || node.getAttribute(name) === value) return false;
  node.setAttribute(name, value);
  return true;
}

// SVG: an attribute, not a style, decides what is drawn
export const show = (node, shown) => node?.[shown ? 'removeAttribute' : 'setAttribute']('display', 'none');

export function setIcon(svg, icon, kind) {
  setAttribute(svg?.firstElementChild, 'href', `#i-${icon}`);
  setAttribute(svg, 'class', `gl ${kind}`);
}

export function setFields(root, part) {
  for (const node of all('[data-f]', root)) setText(node, part[node.dataset.f] ?? '');
}

// Makes the children of `list` those of `items`, in order, by key. Nodes that stay are kept with their focus.
export function reconcile(list, items, { make, fill }) {
  const have = new Map(all(':scope > [data-key]', list).map(node => [node.dataset.key, node]));
  const made = [];
  items.forEach((item, at) => {
    let node = have.get(item.key);
    if (!node) {
      node = make(item);
      node.dataset.key = item.key;
      made.push(node);
    }
    have.delete(item.key);
    fill(node, item);
    if (list.children[at] !== node) list.insertBefore(node, list.children[at] ?? null);
  });
  for (const node of have.values()) node.remove();
  return made;
}
