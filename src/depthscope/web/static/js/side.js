// @ts-check
/** Figures beside the ladder that are ordinary text: market impact, health of feed and book, and what a screen reader gets. */
import { formatCount, formatExact, formatFixed, formatRate } from './format.js';
import { suggestSize, walkBook } from './impact.js';
import { NO_TICK } from './protocol.js';
import { sizeUnit } from './header.js';
import { bookIssues, bookVerdict } from './status.js';
import { element, setText } from './surface.js';

const TABLE_LEVELS = 10;

/** @typedef {import('./app.js').App} App */

export class Side {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.size = element('impact-size', HTMLInputElement);
    this.tapeLeast = element('tape-least', HTMLInputElement);
    this.table = /** @type {HTMLTableSectionElement} */ (element('book-table', HTMLTableElement).tBodies[0]);
    this.announced = '';
    /** Size of the impact panel when the user set none. */
    this.suggested = 0;
    const { settings } = app;
    if (settings.values.impactSize > 0) this.size.value = String(settings.values.impactSize);
    this.size.oninput = () => settings.set('impactSize', Math.max(0, this.size.valueAsNumber || 0));
    if (settings.values.tapeLeast > 0) this.tapeLeast.value = String(settings.values.tapeLeast);
    this.tapeLeast.placeholder = 'all';
    this.tapeLeast.oninput = () => settings.set('tapeLeast', Math.max(0, this.tapeLeast.valueAsNumber || 0));
    app.market.onSymbol.add(() => {
      this.suggested = 0;
    });
  }

  /** Settle on a size of the impact panel once there is a book. */
  #suggest() {
    const { near, symbol } = this.app.market;
    if (this.suggested > 0 || near === null || symbol === null) return;
    const quoted = near.lastQuoted(near.head);
    if (quoted < 0) return;
    this.suggested = suggestSize(near, quoted, Number(symbol.lot));
    this.size.placeholder = this.suggested > 0 ? String(Number(this.suggested.toPrecision(6))) : '';
  }

  showImpact() {
    const { market, settings, renderer } = this.app;
    const { near, symbol } = market;
    if (near === null || symbol === null) return;
    this.#suggest();
    const size = settings.values.impactSize > 0 ? settings.values.impactSize : this.suggested;
    const price = renderer.price(symbol);
    const notes = [];
    const slot = near.head >= 0 ? near.slot(near.head) : -1;
    const crossed = slot >= 0 && near.ask[slot] !== NO_TICK && near.bid[slot] !== NO_TICK && near.ask[slot] <= near.bid[slot];
    if (crossed) notes.push('the book is crossed: nothing can be taken at these prices');
    for (const [direction, key] of /** @type {[1 | -1, string][]} */ ([[1, 'b'], [-1, 's']])) {
      const walk = slot >= 0 && !crossed && size > 0 ? walkBook(near, near.head, direction, size) : null;
      /** @param {string} id @param {string} text */
      const put = (id, text) => setText(element(`imp-${id}-${key}`, HTMLElement), text);
      if (walk === null || !(walk.filled > 0)) {
        for (const id of ['avg', 'bps', 'ticks', 'to', 'levels', 'fill']) put(id, '–');
        continue;
      }
      put('avg', (walk.average * price.tick).toFixed(price.decimals + 2));
      put('bps', formatFixed(walk.slipBps, 2));
      put('ticks', formatFixed(walk.slipTicks, 1));
      put('to', price.text(walk.worst));
      put('levels', String(walk.levels));
      put('fill', `${Math.floor((walk.filled / walk.wanted) * 100)} %`);
      if (walk.filled < walk.wanted * (1 - 1e-9)) {
        notes.push(`${direction === 1 ? '▲' : '▼'} only ${price.size(walk.visible)} shown, more unknown`);
      }
    }
    setText(element('impact-note', HTMLElement), notes.length > 0 ? notes.join(' · ') : 'against the mid, displayed size only');
  }

  showHealth() {
    const { market, feed, perf } = this.app;
    const { hello, session, info, symbol } = market;
    if (hello === null) return;
    /** @type {[string, string, boolean][]} */
    const rows = [];
    const { source } = hello;
    if (source !== null) rows.push(['Source', [source.dataset || source.format, source.schema].filter(Boolean).join(' · '), false]);
    rows.push(['Events', `${formatCount(session?.events ?? null)} · ${formatCount(session?.eventsPerSec ?? null)}/s`, false]);
    rows.push(['Stream', `${perf.rate.updates.toFixed(0)}/s · ${formatRate(perf.rate.bytes)}`, false]);
    rows.push(['Page', `${perf.rate.fps.toFixed(0)} fps · ${perf.rate.msPerUpdate.toFixed(1)} ms`, false]);
    if (feed.stats.drops > 0) rows.push(['Reconnects', String(feed.stats.drops), true]);
    if (info !== null) {
      const { lines } = bookIssues(info.counters);
      if (info.incomplete) rows.push(['Book', '⚠ incomplete', true]);
      else if (lines.length === 0) rows.push(['Book', bookVerdict(info), false]);
      for (const [name, count] of lines) rows.push([name.replaceAll('_', ' '), formatCount(count), true]);
    }
    if (symbol !== null && info?.volume !== null && info !== null) rows.push(['Volume', `${formatCount(info.volume)} ${sizeUnit(symbol)}`, false]);
    const list = element('health', HTMLElement);
    while (list.children.length > rows.length * 2) list.lastElementChild?.remove();
    rows.forEach(([name, text, warn], i) => {
      const dt = list.children[i * 2] ?? list.appendChild(document.createElement('dt'));
      const dd = /** @type {HTMLElement} */ (list.children[i * 2 + 1] ?? list.appendChild(document.createElement('dd')));
      setText(dt, name);
      setText(dd, text);
      dd.dataset.warn = warn ? '1' : '0';
    });
  }

  /** Ten levels a side as a table, once a second. */
  showTable() {
    const { near, symbol } = this.app.market;
    if (near === null || symbol === null) return;
    const bids = topLevels(near, near.head, -1, TABLE_LEVELS);
    const asks = topLevels(near, near.head, 1, TABLE_LEVELS);
    const price = this.app.renderer.price(symbol);
    while (this.table.rows.length < TABLE_LEVELS) {
      const row = this.table.insertRow();
      for (let i = 0; i < 4; i++) row.insertCell();
    }
    for (let i = 0; i < TABLE_LEVELS; i++) {
      const { cells } = this.table.rows[i];
      setText(cells[0], i < bids.length ? formatExact(bids[i].size, symbol.sizeDecimals) : '');
      setText(cells[1], i < bids.length ? price.text(bids[i].tick) : '');
      setText(cells[2], i < asks.length ? price.text(asks[i].tick) : '');
      setText(cells[3], i < asks.length ? formatExact(asks[i].size, symbol.sizeDecimals) : '');
    }
  }

  /** Say changes of state aloud, and nothing else. */
  announce() {
    const status = this.app.status();
    const { symbol } = this.app.market;
    const text = `${symbol === null ? '' : `${symbol.name}: `}${status.text.toLowerCase()}${this.app.paused ? ', paused' : ''}`;
    if (text === this.announced) return;
    this.announced = text;
    setText(element('announce', HTMLElement), status.kind === 'live' ? text : `${text}, ${status.detail}`);
  }
}

/**
 * Levels with size, best first.
 * @param {import('./store.js').ColumnStore} store
 * @param {number} col
 * @param {1 | -1} direction  1 asks, −1 bids
 * @param {number} count
 */
export function topLevels(store, col, direction, count) {
  /** @type {{tick: number, size: number}[]} */
  const levels = [];
  if (!store.isLive(col)) return levels;
  const slot = store.slot(col);
  const best = direction === 1 ? store.ask[slot] : store.bid[slot];
  if (best === NO_TICK) return levels;
  for (let k = best - store.base[slot]; k >= 0 && k < store.levels && levels.length < count; k += direction) {
    const size = store.size[slot * store.levels + k];
    if (size > 0) levels.push({ tick: store.base[slot] + k, size });
  }
  return levels;
}
