// Renews the preview while one chooses: the same address without script, its answer's preview put in place.
import { all, one } from './dom.js';

const TYPING_MS = 300;
const form = one('#where');
let timer, asked = 0;

if (form) {
  one('[data-show]', form).hidden = true;
  form.addEventListener('input', () => {
    clearTimeout(timer);
    wait(true);
    timer = setTimeout(renew, TYPING_MS);
  });
  form.addEventListener('submit', event => { event.preventDefault(); renew(); });
}

// Until the answer is there, nothing can be applied that is not what the left side says.
function wait(waiting) {
  const button = one('#apply button');
  one('#preview').setAttribute('aria-busy', String(waiting));
  if (waiting && button) button.disabled = true;
}

async function renew() {
  const asking = ++asked, query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ''));
  for (const field of all('.opt:not(:has([type=radio]:checked)) .more [name]', form)) query.delete(field.name); // of another mode
  const address = `${location.pathname}?${query}`, reason = one('#apply [name=reason]')?.value;
  try {
    const response = await fetch(address, { headers: { Accept: 'text/html' } });
    if (!response.ok || response.redirected) throw new Error(response.status);
    const fresh = one('#preview', new DOMParser().parseFromString(await response.text(), 'text/html'));
    if (asking !== asked) return;
    one('#preview').replaceWith(document.adoptNode(fresh));
    if (reason && one('#apply [name=reason]')) one('#apply [name=reason]').value = reason;
    history.replaceState(null, '', address);
  } catch {
    if (asking === asked) one('#s2').textContent = 'The preview could not be renewed: reload the page';
  }
}
