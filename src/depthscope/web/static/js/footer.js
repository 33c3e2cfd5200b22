// @ts-check
/** The bar at the bottom: pause, newest, speed, seek, and the figures of the moment. */
import { formatCount, formatFixed, formatRate, formatSigned } from './format.js';
import { bookIssues, bookVerdict } from './status.js';
import { element, setText } from './surface.js';

/** Lag above this is worth a colour, ms. */
const SLOW_FEED = 1000;

/** @typedef {import('./app.js').App} App */

export class Footer {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.pause = element('pause', HTMLButtonElement);
    this.live = element('live', HTMLButtonElement);
    this.speed = element('speed', HTMLSelectElement);
    this.seek = element('seek', HTMLInputElement);
    this.seekLabel = element('seek-label', HTMLOutputElement);
    this.pill = element('pill', HTMLButtonElement);
    this.seeking = false;
    this.speeds = '';
    this.pause.onclick = () => app.togglePause();
    this.live.onclick = () => app.goLive();
    this.pill.onclick = () => app.goLive();
    this.speed.onchange = () => {
      app.feed.send({ cmd: 'speed', x: this.speed.value === 'max' ? 'max' : Number(this.speed.value) });
    };
    this.seek.oninput = () => this.#previewSeek();
    this.seek.onchange = () => {
      this.seeking = false;
      this.seekLabel.hidden = true;
      app.feed.send({ cmd: 'seek', ms: Math.round(this.seek.valueAsNumber) });
    };
    // A drag that ends where it began changes nothing: no `change` event comes to end it.
    this.seek.onpointerup = this.seek.onblur = () => {
      this.seeking = false;
      this.seekLabel.hidden = true;
    };
  }

  #previewSeek() {
    this.seeking = true;
    const { min, max, valueAsNumber } = this.seek;
    const share = (valueAsNumber - Number(min)) / Math.max(1, Number(max) - Number(min));
    this.seekLabel.hidden = false;
    this.seekLabel.style.left = `${this.seek.offsetLeft + 8 + share * (this.seek.offsetWidth - 16)}px`;
    setText(this.seekLabel, `${this.app.clock.time(valueAsNumber)} ${this.app.clock.label}`);
  }

  /** Buttons, speed and seek bar, from the session. */
  showSession() {
    const { app } = this;
    const { market } = app;
    const { hello, session } = market;
    const live = market.mode === 'live';
    const state = session?.state ?? hello?.state ?? 'connecting';
    const { paused } = app;
    setText(this.pause, paused ? '▶' : '❚❚');
    this.pause.setAttribute('aria-label', paused ? 'Go on' : 'Pause');
    this.pause.setAttribute('aria-pressed', String(paused));
    this.pause.disabled = !live && state !== 'playing' && state !== 'paused';
    const newest = app.view.following && !paused && (live || state === 'playing');
    setText(this.live, live ? 'LIVE' : 'LATEST');
    this.live.classList.toggle('on', newest);
    this.pill.hidden = app.view.following && !(live && paused);
    setText(this.pill, live ? 'Go live ▸▸' : 'Go to latest ▸▸');
    this.#showSpeeds(hello?.speeds ?? [], session?.speed ?? 1);
    element('speed-box', HTMLElement).hidden = live || hello === null;
    const box = element('seek-box', HTMLElement);
    const start = session?.startMs ?? hello?.span?.startMs ?? null;
    const now = session?.tsMs ?? null;
    box.hidden = live || start === null;
    if (box.hidden || start === null) return;
    const end = session?.endMs ?? hello?.span?.endMs ?? null;
    const { clock } = app;
    setText(element('seek-start', HTMLElement), clock.time(start));
    setText(element('seek-end', HTMLElement), end === null ? '' : clock.time(end));
    if (this.seeking) return;
    this.seek.min = String(start);
    this.seek.max = String(Math.max(end ?? 0, now ?? 0, start + 1));
    if (now !== null) this.seek.value = String(now);
    this.seek.setAttribute('aria-valuetext', now === null ? '' : clock.time(now));
    this.seek.disabled = state === 'seeking' || state === 'connecting' || state === 'warming' || state === 'failed';
  }

  /** @param {(number | 'max')[]} speeds @param {number | 'max'} current */
  #showSpeeds(speeds, current) {
    const all = speeds.includes(current) ? speeds : [...speeds, current];
    const key = all.join();
    if (key !== this.speeds) {
      this.speeds = key;
      this.speed.replaceChildren(...all.map((s) => new Option(s === 'max' ? 'max' : `${s}×`, String(s))));
    }
    if (document.activeElement !== this.speed) this.speed.value = String(current);
  }

  /** The row of figures. */
  showFigures() {
    const { market, feed, perf, renderer } = this.app;
    const { fine, info, session, symbol } = market;
    if (symbol === null || fine === null) return;
    const price = renderer.price(symbol);
    const quoted = fine.isLive(fine.head) ? fine.lastQuoted(fine.head) : -1;
    const slot = fine.slot(Math.max(0, quoted));
    if (quoted === fine.head && quoted >= 0) {
      const ticks = fine.ask[slot] - fine.bid[slot];
      const bps = (ticks / fine.mid(quoted)) * 1e4;
      const words = `${Math.abs(ticks)} ${Math.abs(ticks) === 1 ? 'tick' : 'ticks'}`;
      setText(element('f-spread', HTMLElement), ticks > 0 ? `${words} · ${formatFixed(bps, 2)} bps` : ticks < 0 ? `crossed by ${words}` : 'locked');
      element('f-spread', HTMLElement).title = `${price.text(ticks)} ${symbol.currency}`;
      const imbalance = fine.imbalance[slot];
      const mark = imbalance > 0.02 ? '▲ ' : imbalance < -0.02 ? '▼ ' : '■ ';
      setText(element('f-imbalance', HTMLElement), Number.isFinite(imbalance) ? mark + formatSigned(imbalance, (v) => v.toFixed(2)) : '–');
    } else {
      setText(element('f-spread', HTMLElement), '–');
      setText(element('f-imbalance', HTMLElement), '–');
    }
    setText(element('f-cvd', HTMLElement), fine.head < 0 ? '–' : formatSigned(fine.cvd[fine.slot(fine.head)], (v) => price.size(v)));
    setText(element('f-trades', HTMLElement), `${formatCount(info?.trades ?? null)}`);
    element('f-trades', HTMLElement).title = `${renderer.profile.trades} in the last 180 s`;
    const lag = element('f-lag', HTMLElement);
    if (market.mode === 'live') {
      const ms = info?.lagMs ?? session?.lagMs ?? null;
      setText(element('f-lag-name', HTMLElement), 'Lag');
      setText(lag, ms === null ? '–' : ms >= 10_000 ? `${(ms / 1000).toFixed(0)} s` : `${ms.toFixed(0)} ms`);
      lag.dataset.warn = ms !== null && ms > SLOW_FEED ? '1' : '0';
      lag.title = 'Exchange time of the newest event against the clock here';
    } else {
      const speed = session?.effectiveSpeed ?? null;
      setText(element('f-lag-name', HTMLElement), 'Pace');
      setText(lag, speed === null ? '–' : `${speed >= 100 ? speed.toFixed(0) : speed.toFixed(1)}×`);
      lag.title = 'Market time that passes in one second';
    }
    const feedCell = element('f-feed', HTMLElement);
    setText(feedCell, feed.state === 'open' ? `● ${formatCount(session?.eventsPerSec ?? info?.eventsPerSec ?? null)} ev/s` : '✕ down');
    feedCell.dataset.warn = feed.state === 'open' ? '0' : '1';
    feedCell.title = `${formatRate(perf.rate.bytes)} to this page`;
    const issues = info === null ? null : bookIssues(info.counters);
    const book = element('f-book', HTMLElement);
    setText(book, bookVerdict(info));
    book.dataset.warn = issues !== null && (issues.total > 0 || info?.incomplete) ? '1' : '0';
    book.title = issues === null || issues.total === 0 ? 'Nothing the book had to work round' : issues.lines.map(([n, v]) => `${n.replaceAll('_', ' ')}: ${v}`).join('\n');
  }
}
