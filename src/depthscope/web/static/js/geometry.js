// @ts-check
/** Measures of the chart area shared by its canvases (app.css holds the same numbers in its custom properties). */

export const AXIS_WIDTH = 72;
export const TIME_HEIGHT = 18;

/**
 * Mapping of columns and ticks to pixels of the heatmap plot.
 * @typedef {object} Plot
 * @property {import('./view.js').Rect} rect
 * @property {number} width
 * @property {number} height
 */

/** @param {Plot} plot @param {number} col  left edge of the column */
export function xOf(plot, col) {
  return ((col - plot.rect.c0) / (plot.rect.c1 - plot.rect.c0)) * plot.width;
}

/** Vertical centre of a price. @param {Plot} plot @param {number} ticks */
export function yOf(plot, ticks) {
  return plot.height - ((ticks + 0.5 - plot.rect.p0) / (plot.rect.p1 - plot.rect.p0)) * plot.height;
}

/** @param {Plot} plot @param {number} x */
export function colAt(plot, x) {
  return Math.floor(plot.rect.c0 + (x / plot.width) * (plot.rect.c1 - plot.rect.c0));
}

/** @param {Plot} plot @param {number} y */
export function tickAt(plot, y) {
  return Math.floor(plot.rect.p0 + ((plot.height - y) / plot.height) * (plot.rect.p1 - plot.rect.p0));
}

/**
 * Distance of price labels in ticks: 1, 2, 2.5 or 5 × 10ⁿ of the currency where the tick divides it, else a power of two of ticks.
 * @param {number} rows  ticks on show
 * @param {number} most  labels that fit
 * @param {number} tick  price units
 */
export function priceStep(rows, most, tick) {
  const least = Math.max(1, rows / Math.max(1, most));
  if (least <= 1) return 1;
  for (let power = Math.floor(Math.log10(least * tick)); power < 12; power++) {
    for (const k of [1, 2, 2.5, 5]) {
      const step = (k * 10 ** power) / tick;
      if (step >= least * (1 - 1e-9) && Math.abs(step - Math.round(step)) < 1e-6) return Math.round(step);
    }
  }
  return 2 ** Math.ceil(Math.log2(least));
}
