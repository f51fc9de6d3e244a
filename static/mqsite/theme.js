// Sets the theme before the page is painted. The Django admin keeps its choice under the same key.
'use strict';
(() => {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem('theme'); } catch { return null; } };
  const keep = theme => { try { localStorage.setItem('theme', theme); } catch { /* a private window */ } };
  const dark = () => root.dataset.theme === 'dark';
  if (kept() === 'light' || kept() === 'dark') root.dataset.theme = kept();

  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    if (!button) return;
    if (!root.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches) root.dataset.theme = 'dark';
    const say = () => {
      button.textContent = dark() ? 'Light' : 'Dark';
      button.setAttribute('aria-label', `${button.textContent} theme`);
    };
    button.hidden = false;
    button.addEventListener('click', () => { root.dataset.theme = dark() ? 'light' : 'dark'; keep(root.dataset.theme); say(); });
    say();
  });
})();
