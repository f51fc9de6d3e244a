// One WebSocket for the page. The content stays whatever happens to it; the badge says how old it is.
import { one, setIcon, setText } from './dom.js';
import { age } from './words.js';

const FIRST_RETRY_MS = 400, LAST_RETRY_MS = 12_000;
const SILENT_MS = 6_000; // the server speaks every 1.5 s: after this the connection is dead
const LOST_MS = 60_000; // from here on "not connected"
const QUIET_MS = 60_000;
const FINAL = { 4403: 'Logged out', 4404: 'No longer there' };

export class Live {
  constructor(path, onFrame) {
    Object.assign(this, { path, onFrame, retry: FIRST_RETRY_MS, heldFrames: null, final: null });
    this.frameAt = this.movedAt = Date.now();
    this.asOf = null; // by the server's clock, as every time on the page
    this.badge = one('#live');
    document.addEventListener('visibilitychange', () => this.onVisibility());
    addEventListener('online', () => this.hurry());
    setInterval(() => this.watch(), 1000);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = this.socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    socket.onopen = () => { if (document.hidden) socket.send('pause'); };
    socket.onmessage = event => { if (socket === this.socket) this.receive(JSON.parse(event.data)); };
    socket.onclose = event => { if (socket === this.socket) this.lose(event.code); };
  }

  receive(frame) {
    const back = !this.connected;
    this.connected = true;
    this.retry = FIRST_RETRY_MS;
    this.frameAt = Date.now();
    this.asOf = frame.at;
    if (this.onFrame(frame)) this.movedAt = this.frameAt;
    if (back) this.say(); // else once a second is enough
  }

  lose(code) {
    this.connected = false;
    this.final = FINAL[code] ?? null;
    if (!this.final) this.timer = setTimeout(() => this.open(), this.retry * (0.5 + Math.random() / 2));
    this.retry = Math.min(LAST_RETRY_MS, this.retry * 1.7);
    this.say();
  }

  hurry() {
    if (this.connected || this.final) return;
    this.retry = FIRST_RETRY_MS;
    this.open();
  }

  // A hidden tab asks for nothing; on return one snapshot.
  onVisibility() {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(document.hidden ? 'pause' : 'resume');
    this.frameAt = Math.max(this.frameAt, Date.now() - 1000);
    if (!document.hidden) this.hurry();
  }

  watch() {
    if (document.hidden) return;
    if (this.connected && Date.now() - this.frameAt > SILENT_MS) {
      const silent = this.socket;
      this.socket = null;
      silent.close();
      this.lose();
    }
    this.say();
  }

  say() {
    const now = Date.now(), since = now - this.frameAt, still = now - this.movedAt;
    if (this.final) return this.put('off', 'bad', this.final, true);
    if (this.connected && this.heldFrames !== null) return this.put('pause', 'idle', `Held still by you, ${this.heldFrames} updates waiting`);
    if (this.connected && still > QUIET_MS) return this.put('idle', 'idle', `Quiet, nothing moved for ${age(still)}`);
    if (this.connected) return this.put('live', 'ok', `Live, ${age(since)} ago`);
    if (!this.asOf && since < LOST_MS) return; // still the server's own "As of"
    if (since < LOST_MS) return this.put('idle', 'warn', `Reconnecting; as of ${this.asOf}`);
    const from = this.asOf ? `Not connected since ${this.asOf.slice(0, 5)}` : 'Not connected';
    this.put('off', 'bad', `${from}; figures are ${age(since)} old`, true);
  }

  put(icon, kind, text, reload = false) {
    setIcon(this.badge.firstElementChild, icon, kind);
    setText(this.badge.children[1], text);
    this.badge.dataset.state = icon === 'idle' && kind === 'warn' ? 'reconnecting' : icon;
    this.badge.className = `live${kind === 'warn' || kind === 'bad' ? ` ${kind}` : ''}`;
    if (reload && !one('button', this.badge)) {
      const button = document.createElement('button');
      button.className = 'btn sm';
      button.textContent = 'Reload';
      button.addEventListener('click', () => location.reload());
      this.badge.append(button);
    } else if (!reload) one('button', this.badge)?.remove();
  }
}
