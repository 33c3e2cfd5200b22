// @ts-check
/** BOOK and VOL beside the heatmap, on its price axis: what rests (now, or its mean over 180 s) and what traded in 180 s. */
import { yOf } from './geometry.js';
import { formatSize } from './format.js';
import { FONT_SMALL } from './palette.js';

export const PROFILE_MS = 180_000;
const HEADER = 16;

/** @typedef {import('./store.js').ColumnStore} ColumnStore */

/** Mean resting size per tick over a window; columns in which a tick was not recorded do not count as zero. */
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
   * @param {number} low  lowest tick
   * @param {number} count  ticks
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
      const shift = store.base[slot] - low;
      const from = Math.max(0, -shift);
      const to = Math.min(store.levels, count - shift);
      for (let k = from, at = slot * store.levels + from; k < to; k++, at++) {
        mean[k + shift] += store.size[at];
        seen[k + shift]++;
      }
    }
    for (let k = 0; k < count; k++) mean[k] = seen[k] > 0 ? mean[k] / seen[k] : NaN;
  }

  /** @param {number} tick */
  at(tick) {
    const k = tick - this.low;
    return k >= 0 && k < this.mean.length ? this.mean[k] : NaN;
  }
}

/**
 * @typedef {object} ColumnsInput
 * @property {ColumnStore} store
 * @property {import('./geometry.js').Plot} plot
 * @property {import('./palette.js').Theme} theme
 * @property {import('./trades.js').VolumeProfile} profile
 * @property {RestingMean | null} mean  null shows what rests now
 */

/** Tooltip of the cell at y: resting and traded. @param {ColumnsInput} o @param {number} tick */
export function describeRow(o, tick) {
  const resting = o.mean === null ? o.store.at(o.store.head, tick) : o.mean.at(tick);
  const k = tick - o.profile.low;
  const inside = k >= 0 && k < o.profile.count;
  return { resting, buy: inside ? o.profile.buy[k] : 0, sell: inside ? o.profile.sell[k] : 0 };
}

/** @param {import('./surface.js').Surface} surface @param {ColumnsInput} o */
export function drawColumns(surface, o) {
  const g = surface.begin();
  const { plot, theme, store, profile } = o;
  const half = Math.floor(surface.width / 2);
  const inset = 4;
  const room = half - inset - 4;
  g.fillStyle = theme.line;
  g.fillRect(half, 0, 1, surface.height);
  const low = Math.floor(plot.rect.p0);
  const high = Math.ceil(plot.rect.p1);
  const rowHeight = plot.height / (plot.rect.p1 - plot.rect.p0);
  const bar = Math.max(1, rowHeight - (rowHeight > 4 ? 1 : 0));
  const head = store.lastQuoted(store.head);
  const { bid, ask } = head < 0 ? { bid: NaN, ask: NaN } : { bid: store.bid[store.slot(head)], ask: store.ask[store.slot(head)] };
  const mid = (bid + ask) / 2;

  let most = 0;
  let traded = 0;
  for (let t = low; t < high; t++) {
    const { resting, buy, sell } = describeRow(o, t);
    if (resting > most) most = resting;
    const k = t - profile.low;
    const unknown = k >= 0 && k < profile.count ? profile.unknown[k] : 0;
    traded = Math.max(traded, buy + sell + unknown);
  }
  // Rows thinner than a pixel: keep the longest bar of the pixel (the maximum, as in the heatmap).
  g.save();
  g.beginPath();
  g.rect(0, HEADER, surface.width, surface.height - HEADER);
  g.clip();
  for (let t = low; t < high; t++) {
    const y = yOf(plot, t) - bar / 2;
    const { resting, buy, sell } = describeRow(o, t);
    if (resting > 0 && most > 0) {
      g.fillStyle = t <= mid ? theme.bid : theme.ask;
      g.globalAlpha = resting > most * 0.6 ? 0.95 : 0.55;
      g.fillRect(inset, y, (resting / most) * room, bar);
      g.globalAlpha = 1;
    }
    if (buy + sell > 0 || profile.unknown[t - profile.low] > 0) {
      const scale = room / traded;
      g.fillStyle = theme.bidFill;
      g.fillRect(half + inset, y, buy * scale, bar);
      g.fillStyle = theme.askFill;
      g.fillRect(half + inset + buy * scale, y, sell * scale, bar);
      const unknown = profile.unknown[t - profile.low] || 0;
      g.fillStyle = theme.neutral;
      g.fillRect(half + inset + (buy + sell) * scale, y, unknown * scale, bar);
    }
  }
  g.restore();
  g.font = FONT_SMALL;
  g.textBaseline = 'middle';
  g.fillStyle = theme.dim;
  g.textAlign = 'right';
  // The title of the left half is a button of the page (it toggles); only the scales are drawn here.
  for (const [text, right] of /** @type {[string, number][]} */ ([[formatSize(most), half - 3], [formatSize(traded), surface.width - 3]])) {
    const width = g.measureText(`max ${text}`).width + 8;
    g.fillStyle = theme.panel;
    g.fillRect(right - width, surface.height - 17, width, 15);
    g.fillStyle = theme.dim;
    g.fillText(`max ${text}`, right - 4, surface.height - 9);
  }
}
