// @ts-check
/** What part of market time and of price is on show. Time in ms since the stream's origin, price in ticks (a row of tick t spans t…t+1). */

/** @typedef {{c0: number, c1: number, p0: number, p1: number}} Rect  visible columns [c0, c1) and rows [p0, p1) */

export const MIN_SPAN = 4_000;
export const MIN_ROWS = 12;
export const MAX_ROWS = 2_000;
export const DEFAULT_SPAN = 60_000;
/** The least of it shown at the start of a recording, which then grows. */
const SHORT_SPAN = 15_000;
/** Share of the width kept free right of the newest column, so that its dots are whole. */
const LEAD = 0.045;
/** The mid may wander this share of the height from the centre before the view follows … */
const DEAD_BAND = 0.24;
/** … and is then brought back to within this. */
const SETTLED = 0.03;
const EASE = 0.16;

export class View {
  constructor() {
    this.span = DEFAULT_SPAN;
    /** Right edge when panned; null follows the newest column. @type {number | null} */
    this.edge = null;
    this.center = NaN;
    this.rows = 60;
    this.followPrice = true;
    this.easing = false;
    /** Rows follow the range of the quotes, and the span what history there is, until the user zooms. */
    this.autoRows = true;
    this.autoSpan = true;
    /** Rows the view is on its way to. */
    this.targetRows = 60;
    this.fitted = false;
    this.maxSpan = 3_600_000;
    this.maxRows = MAX_ROWS;
  }

  get following() {
    return this.edge === null;
  }

  /** Visible ms [from, to) when the newest data ends at `now`. @param {number} now */
  times(now) {
    const to = this.edge === null ? now + this.span * LEAD : this.edge;
    return { from: to - this.span, to };
  }

  /** @param {import('./store.js').ColumnStore} store @param {number} now @returns {Rect} */
  rect(store, now) {
    const { from, to } = this.times(now);
    return { c0: from / store.ms, c1: to / store.ms, p0: this.center - this.rows / 2, p1: this.center + this.rows / 2 };
  }

  /**
   * Follow the mid with a dead band.
   * @param {number} mid  ticks, NaN when unknown
   * @returns {boolean} true while the view is still moving
   */
  follow(mid) {
    if (!Number.isFinite(mid)) return false;
    const target = mid + 0.5;
    if (Number.isNaN(this.center)) {
      this.center = target;
      return false;
    }
    if (!this.followPrice || !this.following) return false;
    const away = target - this.center;
    const share = Math.abs(away) / this.rows;
    if (share > 0.6) {
      this.center = target;
      this.easing = false;
    } else if (share > DEAD_BAND) this.easing = true;
    else if (share < SETTLED) this.easing = false;
    if (this.easing) this.center += away * EASE;
    return this.easing;
  }

  /**
   * Choose rows so that the quotes on show fill about a third of the height.
   * @param {number} low  ticks
   * @param {number} high
   * @param {number} levels  of a column
   * @param {number} row  ticks of a level
   */
  fit(low, high, levels, row) {
    const wanted = Math.min(Math.max(Math.max(high - low + 1, 6) * 2.2, 54 * row), levels * row * 0.9);
    this.maxRows = MAX_ROWS * row;
    if (!this.fitted) this.rows = this.targetRows = wanted;
    else if (wanted > this.targetRows * 1.2 || wanted < this.targetRows * 0.55) this.targetRows = wanted;
    this.fitted = true;
  }

  /** One step towards the fitted rows, and the span of the history held while that is short. @param {number} held ms of history */
  settle(held) {
    if (this.autoRows) {
      const away = this.targetRows - this.rows;
      this.rows = Math.abs(away) < this.targetRows * 0.01 ? this.targetRows : this.rows + away * EASE;
    }
    if (this.autoSpan && this.following) this.span = Math.min(DEFAULT_SPAN, Math.max(SHORT_SPAN, held * 1.06));
  }

  /** Zoom time about a point. @param {number} factor @param {number} x  0…1 of the width @param {number} now */
  zoomTime(factor, x, now) {
    const { from } = this.times(now);
    const span = Math.min(this.maxSpan, Math.max(MIN_SPAN, this.span * factor));
    if (this.edge !== null) this.edge = from + x * this.span + (1 - x) * span;
    this.span = span;
    this.autoSpan = false;
  }

  /** Zoom price about a point. @param {number} factor @param {number} y  0…1 from the top */
  zoomPrice(factor, y) {
    const rows = Math.min(this.maxRows, Math.max(MIN_ROWS, this.rows * factor));
    const anchor = this.center + (0.5 - y) * this.rows;
    // While the view follows the mid, zooming keeps the centre: it would only drift back.
    if (!this.followPrice) this.center = anchor - (0.5 - y) * rows;
    this.rows = rows;
    this.autoRows = false;
  }

  /**
   * Drag.
   * @param {number} dt  ms to go back
   * @param {number} rows  rows to go up
   * @param {number} now
   * @param {number} oldest  ms of the oldest column held
   */
  pan(dt, rows, now, oldest) {
    if (dt !== 0) {
      const { to } = this.times(now);
      const edge = Math.max(to - dt, Math.min(oldest + this.span * 0.2, now));
      this.edge = edge >= now + this.span * LEAD ? null : edge;
    }
    if (rows !== 0) {
      this.center += rows;
      this.followPrice = false;
      this.easing = false;
    }
  }

  /** Back to the newest column and the mid. @param {number} mid */
  recentre(mid) {
    this.followPrice = true;
    this.easing = false;
    if (Number.isFinite(mid)) this.center = mid + 0.5;
  }

  goLive() {
    this.edge = null;
  }

  /** Everything as at the start; rows are fitted anew. */
  reset() {
    this.span = DEFAULT_SPAN;
    this.edge = null;
    this.followPrice = true;
    this.easing = false;
    this.center = NaN;
    this.fitted = false;
    this.autoRows = true;
    this.autoSpan = true;
  }
}

/**
 * Resolution for a span: the finest one whose ring holds it. Going back to a finer one waits until it fits with room.
 * @param {number} span ms
 * @param {number} current res in use
 * @param {{id: number, ms: number, cols: number}[]} resolutions finest first
 */
export function chooseResolution(span, current, resolutions) {
  for (const { id, ms, cols } of resolutions) {
    const room = ms * Math.min(cols, 4096);
    if (span <= room * (id < current ? 0.8 : 0.95)) return id;
  }
  return resolutions.length > 0 ? resolutions[resolutions.length - 1].id : 0;
}
