// @ts-check
/**
 * Columns of one symbol at one resolution, in a ring, with their trades. No DOM: it runs under node.
 * A cell keeps its size and log1p(lots): colours need the logarithm, and repainting must not compute it.
 */
import { FLAG_INCOMPLETE, FLAG_NOT_LIVE, NO_TICK, lotsOfCode } from './protocol.js';
import { TradeLog } from './trades.js';

/** Columns kept; a power of two above what the server keeps at the finest resolution. */
export const CAPACITY = 4096;
const MASK = CAPACITY - 1;
const EMPTY = -1;

export class ColumnStore {
  /**
   * @param {number} res
   * @param {number} ms  market time of one column
   * @param {number} levels
   * @param {number} lot  smallest size, public units
   * @param {number} [row]  ticks of one level: a level holds the sum of what rests at them
   */
  constructor(res, ms, levels, lot, row = 1) {
    this.res = res;
    this.ms = ms;
    this.levels = levels;
    this.lot = lot;
    this.row = row;
    this.size = new Float32Array(CAPACITY * levels);
    this.log = new Float32Array(CAPACITY * levels);
    this.col = new Float64Array(CAPACITY).fill(EMPTY);
    this.base = new Int32Array(CAPACITY);
    this.bid = new Int32Array(CAPACITY).fill(NO_TICK);
    this.ask = new Int32Array(CAPACITY).fill(NO_TICK);
    this.cvd = new Float64Array(CAPACITY);
    this.imbalance = new Float32Array(CAPACITY);
    this.ofi = new Float32Array(CAPACITY).fill(NaN);
    this.trades = new TradeLog();
    /** Newest column, -1 when empty. */
    this.head = EMPTY;
    /** Oldest column that may be present. */
    this.tail = EMPTY;
    /** Grows when everything held before is void. */
    this.generation = 0;
    this.incomplete = false;
    /** @type {Set<(first: number, end: number) => void>} told of columns written: [first, end) */
    this.listeners = new Set();
  }

  /** Empty the store. */
  clear() {
    this.col.fill(EMPTY);
    this.head = EMPTY;
    this.tail = EMPTY;
    this.trades.clear();
    this.incomplete = false;
    this.generation++;
  }

  /** @param {number} col */
  has(col) {
    return col >= 0 && this.col[col & MASK] === col;
  }

  /** Ring index of a column. @param {number} col */
  slot(col) {
    return col & MASK;
  }

  /** Resting size in the level of a tick; NaN where the column or the tick was never seen. @param {number} col @param {number} tick */
  at(col, tick) {
    if (!this.has(col)) return NaN;
    const slot = col & MASK;
    const level = Math.floor((tick - this.base[slot]) / this.row);
    return level >= 0 && level < this.levels ? this.size[slot * this.levels + level] : NaN;
  }

  /** True where the column exists and its book was LIVE with at least one side. @param {number} col */
  isLive(col) {
    const slot = col & MASK;
    return this.has(col) && (this.bid[slot] !== NO_TICK || this.ask[slot] !== NO_TICK);
  }

  /** Mid in ticks (of the lower edges), NaN without both sides. @param {number} col */
  mid(col) {
    if (!this.has(col)) return NaN;
    const slot = col & MASK;
    const bid = this.bid[slot];
    const ask = this.ask[slot];
    return bid === NO_TICK || ask === NO_TICK ? NaN : (bid + ask) / 2;
  }

  /** Newest column at or before `col` whose mid is defined, or -1. @param {number} col */
  lastQuoted(col) {
    for (let c = Math.min(col, this.head), low = this.oldest; c >= low; c--) {
      if (!Number.isNaN(this.mid(c))) return c;
    }
    return EMPTY;
  }

  /** Oldest column that can still be in the ring. */
  get oldest() {
    return Math.max(this.tail, this.head - CAPACITY + 1, 0);
  }

  /** @param {number} col */
  #claim(col) {
    // A column that lies a whole ring behind the head is older than anything kept.
    if (this.head !== EMPTY && col <= this.head - CAPACITY) return -1;
    const slot = col & MASK;
    if (this.col[slot] !== col) {
      this.ofi[slot] = NaN;
      this.col[slot] = col;
    }
    if (col > this.head) this.head = col;
    if (this.tail === EMPTY || col < this.tail) this.tail = col;
    return slot;
  }

  /** @param {number} first @param {number} end */
  #changed(first, end) {
    for (const listener of this.listeners) listener(first, end);
  }

  /**
   * State of one column from a TICK or a BOOK frame.
   * @param {import('./protocol.js').TickFrame | import('./protocol.js').BookFrame} frame
   * @returns {number} its ring index, -1 when it is older than the ring
   */
  #putState(frame) {
    const slot = this.#claim(frame.col);
    if (slot < 0) return slot;
    const at = slot * this.levels;
    const count = Math.min(this.levels, frame.sizes.length);
    this.size.fill(0, at + count, at + this.levels);
    this.log.fill(0, at + count, at + this.levels);
    for (let k = 0; k < count; k++) {
      const size = frame.sizes[k];
      this.size[at + k] = size;
      this.log[at + k] = size > 0 ? Math.log1p(size / this.lot) : 0;
    }
    const stale = (frame.flags & FLAG_NOT_LIVE) !== 0;
    this.base[slot] = frame.base;
    this.bid[slot] = stale ? NO_TICK : frame.bid;
    this.ask[slot] = stale ? NO_TICK : frame.ask;
    this.incomplete = (frame.flags & FLAG_INCOMPLETE) !== 0;
    return slot;
  }

  /** Take one BOOK frame: sizes and quotes only. @param {import('./protocol.js').BookFrame} frame */
  applyBook(frame) {
    if (this.#putState(frame) >= 0) this.#changed(frame.col, frame.col + 1);
  }

  /** Take one TICK frame. @param {import('./protocol.js').TickFrame} frame */
  applyTick(frame) {
    const slot = this.#putState(frame);
    if (slot < 0) return;
    this.cvd[slot] = frame.cvd;
    this.imbalance[slot] = frame.imbalance;
    let first = frame.col;
    for (let i = 0; i < frame.ofi.length; i++) {
      const col = frame.ofiFirst + i;
      if (this.has(col)) this.ofi[col & MASK] = frame.ofi[i];
      if (col < first) first = col;
    }
    this.trades.add(frame.trades);
    this.trades.dropBefore(this.oldest);
    this.#changed(first, frame.col + 1);
  }

  /** Take a run of columns, which replaces those columns and their trades. @param {import('./protocol.js').HistFrame} frame */
  applyHist(frame) {
    const { count, levels, first } = frame;
    const lots = lotsOfCode(frame.logK);
    const scale = 1 / frame.logK;
    const copied = Math.min(levels, this.levels);
    for (let i = 0; i < count; i++) {
      const slot = this.#claim(first + i);
      if (slot < 0) continue;
      const at = slot * this.levels;
      for (let k = 0, q = i * levels; k < copied; k++, q++) {
        const code = frame.q[q];
        this.size[at + k] = lots[code] * frame.unit;
        this.log[at + k] = code * scale;
      }
      this.size.fill(0, at + copied, at + this.levels);
      this.log.fill(0, at + copied, at + this.levels);
      this.base[slot] = frame.base[i];
      this.bid[slot] = frame.bid[i];
      this.ask[slot] = frame.ask[i];
      this.cvd[slot] = frame.cvd[i];
      this.imbalance[slot] = frame.imbalance[i];
      this.ofi[slot] = frame.ofi[i];
    }
    this.trades.replace(first, first + count, frame.trades);
    this.trades.dropBefore(this.oldest);
    if (count > 0) this.#changed(first, first + count);
  }

  /**
   * Make one column from `ratio` finer ones: the maximum at each tick, the last state, the summed order flow.
   * @param {ColumnStore} fine
   * @param {number} col  column of this store
   * @param {number} ratio
   */
  deriveFrom(fine, col, ratio) {
    let newest = EMPTY;
    for (let c = (col + 1) * ratio - 1; c >= col * ratio; c--) {
      if (fine.has(c)) {
        newest = c;
        break;
      }
    }
    if (newest === EMPTY) return;
    const slot = this.#claim(col);
    if (slot < 0) return;
    const last = fine.slot(newest);
    const at = slot * this.levels;
    const base = fine.base[last];
    this.size.fill(0, at, at + this.levels);
    this.log.fill(0, at, at + this.levels);
    let ofi = NaN;
    for (let c = col * ratio; c <= newest; c++) {
      if (!fine.has(c)) continue;
      const from = fine.slot(c);
      if (!Number.isNaN(fine.ofi[from])) ofi = (Number.isNaN(ofi) ? 0 : ofi) + fine.ofi[from];
      const shift = (base - fine.base[from]) / this.row;
      const low = Math.max(0, -shift);
      const high = Math.min(this.levels, fine.levels - shift);
      for (let k = low, f = from * fine.levels + shift + low; k < high; k++, f++) {
        if (fine.size[f] > this.size[at + k]) {
          this.size[at + k] = fine.size[f];
          this.log[at + k] = fine.log[f];
        }
      }
    }
    this.base[slot] = base;
    this.bid[slot] = fine.bid[last];
    this.ask[slot] = fine.ask[last];
    this.cvd[slot] = fine.cvd[last];
    this.imbalance[slot] = fine.imbalance[last];
    this.ofi[slot] = ofi;
    this.#changed(col, col + 1);
  }
}
