// @ts-check
/** BOOK and VOL beside the heatmap, on its price axis: what rests (now, or its mean over 180 s) and what traded in 180 s. */
import { yOf } from './geometry.js';
import { FONT_SMALL } from './palette.js';

export const PROFILE_MS = 180_000;
const HEADER = 16;

/** @typedef {import('./store.js').ColumnStore} ColumnStore */

/** Mean resting size per level over a window; columns in which a level was not recorded do not count as zero. */
export class RestingMean {
  constructor() {
    this.low = 0;
    this.mean = new Float64Array(0);
    this.columns = 0;
  }

  /**
   * @param {ColumnStore} store
   * @param {number} first  first column
   * @param {number} end  one past the last
   * @param {number} low  lowest level (tick ÷ row)
   * @param {number} count  levels
   */
  update(store, first, end, low, count) {
    if (this.mean.length !== count) this.mean = new Float64Array(count);
    const { mean } = this;
    mean.fill(0);
    const seen = new Uint32Array(count);
    this.low = low;
    this.columns = 0;
    for (let c = Math.max(first, store.oldest); c < end; c++) {
      if (!store.isLive(c)) continue;
      this.columns++;
      const slot = store.slot(c);
      const shift = store.base[slot] / store.row - low;
      const from = Math.max(0, -shift);
      const to = Math.min(store.levels, count - shift);
      for (let k = from, at = slot * store.levels + from; k < to; k++, at++) {
        mean[k + shift] += store.size[at];
        seen[k + shift]++;
      }
    }
    for (let k = 0; k < count; k++) mean[k] = seen[k] > 0 ? mean[k] / seen[k] : NaN;
  }

  /** @param {number} level */
  at(level) {
    const k = level - this.low;
    return k >= 0 && k < this.mean.length ? this.mean[k] : NaN;
  }
}

/**
 * @typedef {object} ColumnsInput
 * @property {ColumnStore} store
 * @property {import('./geometry.js').Plot} plot
 * @property {import('./palette.js').Theme} theme
 * @property {import('./format.js').InstrumentFormat} price
 * @property {import('./trades.js').VolumeProfile} profile
 * @property {RestingMean | null} mean  null shows what rests now
 */

/** What rests and what traded in a level. @param {ColumnsInput} o @param {number} level  tick ÷ row */
export function describeLevel(o, level) {
  const { store, profile } = o;
  const found = { resting: o.mean === null ? store.at(store.head, level * store.row) : o.mean.at(level), buy: 0, sell: 0, unknown: 0 };
  for (let k = level * store.row - profile.low, end = k + store.row; k < end; k++) {
    if (k < 0 || k >= profile.count) continue;
    found.buy += profile.buy[k];
    found.sell += profile.sell[k];
    found.unknown += profile.unknown[k];
  }
  return found;
}

/** @param {import('./surface.js').Surface} surface @param {ColumnsInput} o */
export function drawColumns(surface, o) {
  const g = surface.begin();
  const { plot, theme, store } = o;
  const half = Math.floor(surface.width / 2);
  const inset = 4;
  const room = half - inset - 4;
  g.fillStyle = theme.line;
  g.fillRect(half, 0, 1, surface.height);
  const { row } = store;
  const low = Math.floor(plot.rect.p0 / row);
  const levels = Array.from({ length: Math.max(0, Math.ceil(plot.rect.p1 / row) - low) }, (_, i) => describeLevel(o, low + i));
  const height = (plot.height / (plot.rect.p1 - plot.rect.p0)) * row;
  const bar = Math.max(1, height - (height > 4 ? 1 : 0));
  const head = store.lastQuoted(store.head);
  const mid = head < 0 ? NaN : store.mid(head);
  const most = levels.reduce((m, l) => Math.max(m, l.resting || 0), 0);
  const traded = levels.reduce((m, l) => Math.max(m, l.buy + l.sell + l.unknown), 0);
  g.save();
  g.beginPath();
  g.rect(0, HEADER, surface.width, surface.height - HEADER);
  g.clip();
  levels.forEach(({ resting, buy, sell, unknown }, i) => {
    const first = (low + i) * row;
    const y = yOf(plot, first + (row - 1) / 2) - bar / 2;
    if (resting > 0) {
      g.fillStyle = first <= mid ? theme.bid : theme.ask;
      g.globalAlpha = resting > most * 0.6 ? 0.95 : 0.55;
      g.fillRect(inset, y, (resting / most) * room, bar);
      g.globalAlpha = 1;
    }
    if (buy + sell + unknown > 0) {
      const scale = room / traded;
      g.fillStyle = theme.bidFill;
      g.fillRect(half + inset, y, buy * scale, bar);
      g.fillStyle = theme.askFill;
      g.fillRect(half + inset + buy * scale, y, sell * scale, bar);
      g.fillStyle = theme.neutral;
      g.fillRect(half + inset + (buy + sell) * scale, y, unknown * scale, bar);
    }
  });
  g.restore();
  g.font = FONT_SMALL;
  g.textBaseline = 'middle';
  g.fillStyle = theme.dim;
  g.textAlign = 'right';
  // The title of the left half is a button of the page (it toggles); only the scales are drawn here.
  for (const [text, right] of /** @type {[string, number][]} */ ([[o.price.size(most), half - 3], [o.price.size(traded), surface.width - 3]])) {
    const width = g.measureText(`max ${text}`).width + 8;
    g.fillStyle = theme.panel;
    g.fillRect(right - width, surface.height - 17, width, 15);
    g.fillStyle = theme.dim;
    g.fillText(`max ${text}`, right - 4, surface.height - 9);
  }
}
