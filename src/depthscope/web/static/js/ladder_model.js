// @ts-check
/** Numbers behind the ladder: grouped rows, and what was pulled or stacked at each price. No DOM. */
import { NO_TICK } from './protocol.js';

/** @typedef {import('./store.js').ColumnStore} ColumnStore */
/** @typedef {import('./trades.js').VolumeProfile} VolumeProfile */

export const GROUPS = [1, 2, 5, 10];
export const PULL_MS = 30_000;

/**
 * Change of resting size per tick since an earlier column, net of what traded there: positive stacked, negative pulled.
 * NaN where the tick was outside a column's window or has changed sides in between.
 */
export class PulledStacked {
  constructor() {
    this.low = 0;
    this.change = new Float64Array(0);
    /** ms really covered. */
    this.span = 0;
  }

  /**
   * @param {ColumnStore} store
   * @param {import('./trades.js').TradeLog} trades
   * @param {number} head  column now
   * @param {number} ms  window
   */
  update(store, trades, head, ms) {
    const { levels } = store;
    if (this.change.length !== levels) this.change = new Float64Array(levels);
    const { change } = this;
    change.fill(NaN);
    this.span = 0;
    if (!store.isLive(head)) return;
    let then = Math.max(store.oldest, head - Math.round(ms / store.ms));
    while (then < head && !store.isLive(then)) then++;
    if (then >= head) return;
    this.span = (head - then) * store.ms;
    const now = store.slot(head);
    const old = store.slot(then);
    this.low = store.base[now];
    for (let k = 0; k < levels; k++) {
      const tick = this.low + k;
      const was = tick - store.base[old];
      if (was < 0 || was >= levels) continue;
      const side = sideOf(store, now, tick);
      if (side === 0 || side !== sideOf(store, old, tick)) continue;
      change[k] = store.size[now * levels + k] - store.size[old * levels + was];
    }
    const { list } = trades;
    for (let i = trades.from(then + 1); i < list.length && list[i].col <= head; i++) {
      const k = list[i].tick - this.low;
      // What traded was neither pulled nor missing: it is added back to the side it was taken from.
      if (k < 0 || k >= levels || list[i].fraction !== 0) continue;
      const side = sideOf(store, now, list[i].tick);
      if (list[i].side === 0 || (side === -1) === (list[i].side === 2)) change[k] += list[i].size;
    }
  }

  /** @param {number} tick */
  at(tick) {
    const k = tick - this.low;
    return k >= 0 && k < this.change.length ? this.change[k] : NaN;
  }
}

/** −1 bid, 1 ask, 0 inside the spread or unknown. @param {ColumnStore} store @param {number} slot @param {number} tick */
export function sideOf(store, slot, tick) {
  if (store.bid[slot] !== NO_TICK && tick <= store.bid[slot]) return -1;
  if (store.ask[slot] !== NO_TICK && tick >= store.ask[slot]) return 1;
  return 0;
}

/**
 * @typedef {object} Row
 * @property {number} tick  lowest tick of the row
 * @property {number} bid  resting, NaN where not recorded
 * @property {number} ask
 * @property {number} sold  traded in the profile's window by sell aggressors
 * @property {number} bought
 * @property {number} change  pulled (negative) or stacked, NaN unknown
 * @property {boolean} bestBid
 * @property {boolean} bestAsk
 * @property {boolean} last  the last trade was here
 */

/**
 * Rows of the ladder, highest price first.
 * @param {ColumnStore} store
 * @param {number} col  column to show
 * @param {number} top  group index of the first row (price tick ÷ group, rounded down)
 * @param {number} count  rows
 * @param {number} group  ticks a row
 * @param {VolumeProfile} profile
 * @param {PulledStacked} pulled
 * @param {number} lastTick  whole tick of the last trade, NaN without
 * @returns {Row[]}
 */
export function ladderRows(store, col, top, count, group, profile, pulled, lastTick) {
  /** @type {Row[]} */
  const rows = [];
  const slot = store.slot(col);
  const known = store.isLive(col);
  const bid = known ? store.bid[slot] : NO_TICK;
  const ask = known ? store.ask[slot] : NO_TICK;
  for (let r = 0; r < count; r++) {
    const first = (top - r) * group;
    /** @type {Row} */
    const row = {
      tick: first, bid: NaN, ask: NaN, sold: 0, bought: 0, change: NaN,
      bestBid: bid !== NO_TICK && Math.floor(bid / group) === top - r,
      bestAsk: ask !== NO_TICK && Math.floor(ask / group) === top - r,
      last: Math.floor(lastTick / group) === top - r,
    };
    for (let tick = first; tick < first + group; tick++) {
      const k = tick - profile.low;
      if (k >= 0 && k < profile.count) {
        row.sold += profile.sell[k];
        row.bought += profile.buy[k];
      }
      if (!known) continue;
      const size = store.at(col, tick);
      if (Number.isNaN(size)) continue;
      const side = sideOf(store, slot, tick);
      if (side === -1) row.bid = (row.bid || 0) + size;
      else if (side === 1) row.ask = (row.ask || 0) + size;
      const change = pulled.at(tick);
      if (!Number.isNaN(change)) row.change = (row.change || 0) + change;
    }
    rows.push(row);
  }
  return rows;
}

/** Where the ladder stands: follows the mid with a dead band, never under the cursor, never once scrolled by hand. */
export class LadderPosition {
  constructor() {
    /** Centre in groups; NaN before the first book. */
    this.centre = NaN;
    this.manual = false;
    this.hovered = false;
  }

  /** @param {number} mid  in groups @param {number} count  rows @param {boolean} moved  group or row count has changed */
  follow(mid, count, moved) {
    if (!Number.isFinite(mid)) return;
    if (Number.isNaN(this.centre) || moved) this.centre = Math.round(mid);
    else if (!this.manual && !this.hovered && Math.abs(mid - this.centre) > count * 0.28) this.centre = Math.round(mid);
  }

  /** @param {number} rows */
  scroll(rows) {
    this.centre += rows;
    this.manual = true;
  }

  recentre() {
    this.manual = false;
    this.centre = NaN;
  }
}
