// @ts-check
/** Trades of one store, ordered by column; and what is made of them: clusters (dots) and volume at price. */

/** @typedef {import('./protocol.js').Trade} Trade */

export class TradeLog {
  constructor() {
    /** @type {Trade[]} */
    this.list = [];
  }

  clear() {
    this.list = [];
  }

  /** Index of the first trade with column ≥ `col`. @param {number} col */
  from(col) {
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.list[mid].col < col) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** Append new trades; a late one is moved to its place. @param {Trade[]} trades */
  add(trades) {
    for (const trade of trades) {
      const { list } = this;
      let at = list.length;
      while (at > 0 && list[at - 1].col > trade.col) at--;
      if (at === list.length) list.push(trade);
      else list.splice(at, 0, trade);
    }
  }

  /** Put `trades` in the place of all trades of columns [first, end). @param {number} first @param {number} end @param {Trade[]} trades */
  replace(first, end, trades) {
    const low = this.from(first);
    const high = this.from(end);
    // No splice(...trades): a history chunk may hold more prints than a call takes arguments.
    if (low === this.list.length) for (const trade of trades) this.list.push(trade);
    else this.list = this.list.slice(0, low).concat(trades, this.list.slice(high));
  }

  /** @param {number} col */
  dropBefore(col) {
    const gone = this.from(col);
    // Cutting the front of an array copies it, so it waits for a worthwhile run.
    if (gone > 512) this.list = this.list.slice(gone);
  }
}

/**
 * @typedef {object} Cluster
 * @property {number} x  centre, in columns, weighted by size
 * @property {number} y  centre, in ticks, weighted by size
 * @property {number} size
 * @property {number} side
 * @property {number} count
 */

/**
 * Merge trades that would be drawn on top of each other: same side, same bin of columns and of ticks.
 * @param {TradeLog} log
 * @param {number} first  first column
 * @param {number} end  one past the last column
 * @param {number} low  lowest tick
 * @param {number} high  one past the highest tick
 * @param {number} perX  columns of one bin
 * @param {number} perY  ticks of one bin
 * @returns {Cluster[]} oldest first
 */
export function clusterTrades(log, first, end, low, high, perX, perY) {
  /** @type {Map<number, Cluster>} */
  const open = new Map();
  /** @type {Cluster[]} */
  const clusters = [];
  let bin = -1;
  const { list } = log;
  for (let i = log.from(Math.floor(first)); i < list.length; i++) {
    const trade = list[i];
    if (trade.col >= end) break;
    if (trade.tick < low || trade.tick >= high) continue;
    const column = Math.floor(trade.col / perX);
    if (column !== bin) {
      bin = column;
      open.clear();
    }
    const key = (Math.floor(trade.tick / perY) - Math.floor(low / perY)) * 3 + trade.side;
    const x = trade.col + 0.5;
    const y = trade.tick + trade.fraction;
    const found = open.get(key);
    if (found === undefined) {
      const made = { x, y, size: trade.size, side: trade.side, count: trade.count };
      open.set(key, made);
      clusters.push(made);
    } else {
      const total = found.size + trade.size;
      const share = total > 0 ? trade.size / total : 0;
      found.x += (x - found.x) * share;
      found.y += (y - found.y) * share;
      found.size = total;
      found.count += trade.count;
    }
  }
  return clusters;
}

/** Volume traded per tick over a run of columns. */
export class VolumeProfile {
  /** @param {number} capacity  ticks */
  constructor(capacity) {
    this.low = 0;
    this.count = 0;
    this.buy = new Float64Array(capacity);
    this.sell = new Float64Array(capacity);
    this.unknown = new Float64Array(capacity);
    this.trades = 0;
    this.volume = 0;
  }

  /**
   * Count again.
   * @param {TradeLog} log
   * @param {number} first  first column
   * @param {number} end  one past the last column
   * @param {number} low  lowest tick
   * @param {number} count  ticks
   */
  update(log, first, end, low, count) {
    this.low = low;
    this.count = Math.min(count, this.buy.length);
    this.buy.fill(0);
    this.sell.fill(0);
    this.unknown.fill(0);
    this.trades = 0;
    this.volume = 0;
    const { list } = log;
    for (let i = log.from(first); i < list.length && list[i].col < end; i++) {
      const trade = list[i];
      this.trades += trade.count;
      this.volume += trade.size;
      const k = trade.tick - low;
      if (k < 0 || k >= this.count) continue;
      if (trade.side === 1) this.buy[k] += trade.size;
      else if (trade.side === 2) this.sell[k] += trade.size;
      else this.unknown[k] += trade.size;
    }
  }
}
