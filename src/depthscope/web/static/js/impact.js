// @ts-check
/** Cost of taking a size from the visible book, level by level. Exact for what is shown, silent about what is not. */
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
