// @ts-check
/** Cost of taking a size from the visible book, level by level. Exact for what is shown, silent about what is not. */
import { niceCeil, niceFloor } from './format.js';
import { NO_TICK } from './protocol.js';

/**
 * @typedef {object} Walk
 * @property {number} filled  public units
 * @property {number} wanted
 * @property {number} average  price in ticks, NaN when nothing fills
 * @property {number} worst  last tick touched, NaN when nothing fills
 * @property {number} levels  prices with size taken
 * @property {number} slipTicks  average against mid, positive is a cost
 * @property {number} slipBps
 * @property {number} visible  all the size shown on that side
 */

/**
 * @param {import('./store.js').ColumnStore} store
 * @param {number} col
 * @param {1 | -1} direction  1 buys the asks, −1 sells to the bids
 * @param {number} size  public units
 * @returns {Walk | null} null without a two-sided book
 */
export function walkBook(store, col, direction, size) {
  const mid = store.mid(col);
  if (!Number.isFinite(mid)) return null;
  const slot = store.slot(col);
  const base = store.base[slot];
  const start = direction === 1 ? store.ask[slot] : store.bid[slot];
  if (start === NO_TICK) return null;
  let left = size;
  let cost = 0;
  let worst = NaN;
  let levels = 0;
  let visible = 0;
  for (let k = start - base; k >= 0 && k < store.levels; k += direction) {
    const there = store.size[slot * store.levels + k];
    if (!(there > 0)) continue;
    visible += there;
    const taken = Math.min(left, there);
    if (taken > 0) {
      cost += taken * (base + k - mid);
      left -= taken;
      worst = base + k;
      levels++;
    }
  }
  const filled = size - left;
  const away = filled > 0 ? cost / filled : NaN;
  return {
    filled, wanted: size, average: mid + away, worst, levels, visible,
    slipTicks: away * direction,
    slipBps: ((away * direction) / mid) * 1e4,
  };
}

/**
 * A round size worth asking about: ten times what rests at the best prices, but no more than half of what either side shows.
 * @param {import('./store.js').ColumnStore} store
 * @param {number} col
 * @param {number} lot
 * @returns {number} 0 without a two-sided book
 */
export function suggestSize(store, col, lot) {
  const buy = walkBook(store, col, 1, 0);
  const sell = walkBook(store, col, -1, 0);
  if (buy === null || sell === null) return 0;
  const slot = store.slot(col);
  const best = (store.at(col, store.bid[slot]) + store.at(col, store.ask[slot])) / 2;
  const most = Math.min(buy.visible, sell.visible) / 2;
  if (!(best > 0) || !(most > 0)) return 0;
  return Math.max(lot, Math.min(niceCeil(best * 10), niceFloor(most)));
}
