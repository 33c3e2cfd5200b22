// @ts-check
/** Cumulative depth curve of the newest column. */
import { niceCeil } from './format.js';
import { FONT_SMALL } from './palette.js';
import { NO_TICK } from './protocol.js';

/** @typedef {import('./store.js').ColumnStore} ColumnStore */

/**
 * Cumulative size outward from the best price: `total[i]` rests within i ticks of it.
 * @param {ColumnStore} store
 * @param {number} col
 * @param {1 | -1} direction  1 asks, −1 bids
 * @returns {Float64Array}
 */
export function cumulativeDepth(store, col, direction) {
  if (!store.isLive(col)) return new Float64Array(0);
  const slot = store.slot(col);
  const best = direction === 1 ? store.ask[slot] : store.bid[slot];
  if (best === NO_TICK) return new Float64Array(0);
  const start = best - store.base[slot];
  const count = direction === 1 ? store.levels - start : start + 1;
  if (start < 0 || start >= store.levels || count <= 0) return new Float64Array(0);
  const total = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += store.size[slot * store.levels + start + i * direction];
    total[i] = sum;
  }
  return total;
}

/**
 * Both sides as far from the best price as both were recorded: the window follows the market with a dead band, and one side
 * that merely reaches further must not look deeper. A side alone keeps its length.
 * @param {ColumnStore} store
 * @param {number} col
 */
export function comparedDepth(store, col) {
  const bids = cumulativeDepth(store, col, -1);
  const asks = cumulativeDepth(store, col, 1);
  const reach = bids.length > 0 && asks.length > 0 ? Math.min(bids.length, asks.length) : Math.max(bids.length, asks.length);
  return { bids: bids.subarray(0, reach), asks: asks.subarray(0, reach), reach };
}

/**
 * @param {import('./surface.js').Surface} surface
 * @param {{store: ColumnStore, col: number, theme: import('./palette.js').Theme, price: import('./format.js').InstrumentFormat}} o
 */
export function drawDepth(surface, o) {
  const g = surface.begin();
  const { store, col, theme, price } = o;
  const { width, height } = surface;
  const { bids, asks, reach } = comparedDepth(store, col);
  g.font = FONT_SMALL;
  g.textBaseline = 'middle';
  if (bids.length === 0 && asks.length === 0) {
    g.fillStyle = theme.dim;
    g.textAlign = 'center';
    g.fillText('no live book', width / 2, height / 2);
    return;
  }
  const axis = 16;
  const floor = height - axis;
  const top = niceCeil(Math.max(bids[bids.length - 1] || 0, asks[asks.length - 1] || 0));
  const half = width / 2;
  /** @param {number} v */
  const y = (v) => floor - (v / top) * (floor - 18);
  g.strokeStyle = theme.grid;
  g.lineWidth = 1;
  g.beginPath();
  for (const share of [0.5, 1]) {
    const at = Math.round(y(top * share)) + 0.5;
    g.moveTo(0, at);
    g.lineTo(width, at);
  }
  g.stroke();
  for (const [total, direction, line, fill] of /** @type {[Float64Array, number, string, string][]} */ ([
    [bids, -1, theme.bid, theme.bidBar],
    [asks, 1, theme.ask, theme.askBar],
  ])) {
    if (total.length === 0) continue;
    const path = new Path2D();
    path.moveTo(half, floor);
    total.forEach((v, i) => {
      path.lineTo(half + (direction * i * half) / reach, y(v));
      path.lineTo(half + (direction * (i + 1) * half) / reach, y(v));
    });
    const area = new Path2D(path);
    area.lineTo(half + (direction * total.length * half) / reach, floor);
    area.closePath();
    g.fillStyle = fill;
    g.fill(area);
    g.strokeStyle = line;
    g.lineWidth = 1.4;
    g.stroke(path);
  }
  g.fillStyle = theme.line;
  g.fillRect(0, floor, width, 1);
  g.fillStyle = theme.dim;
  g.textAlign = 'right';
  // The curve is highest where its scale stands: a rim keeps the figures apart from it.
  g.strokeStyle = theme.bg;
  g.lineWidth = 3;
  g.lineJoin = 'round';
  for (const v of [top, top / 2]) {
    g.strokeText(price.size(v), width - 4, y(v) + 8);
    g.fillText(price.size(v), width - 4, y(v) + 8);
  }
  const mid = store.mid(col);
  g.textAlign = 'center';
  if (Number.isFinite(mid)) g.fillText(price.half(mid), half, height - 7);
  g.textAlign = 'left';
  g.fillText(`−${reach} ticks`, 4, height - 7);
  g.textAlign = 'right';
  g.fillText(`+${reach} ticks`, width - 4, height - 7);
  g.textAlign = 'left';
  g.fillStyle = theme.bid;
  g.fillText(`▲ bids ${price.size(bids[bids.length - 1] || 0)}`, 4, 9);
  g.textAlign = 'right';
  g.fillStyle = theme.ask;
  g.fillText(`asks ${price.size(asks[asks.length - 1] || 0)} ▼`, width - 4, 9);
}
