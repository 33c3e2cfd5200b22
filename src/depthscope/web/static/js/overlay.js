// @ts-check
/** What is drawn over the heatmap: best bid and ask, trade dots, price and time axes, last price, stretches without a live book. */
import { AXIS_WIDTH, TIME_HEIGHT, priceStep, xOf, yOf } from './geometry.js';
import { niceCeil } from './format.js';
import { FONT, FONT_BOLD, FONT_SMALL } from './palette.js';
import { NO_TICK } from './protocol.js';
import { timeStep } from './time.js';
import { clusterTrades } from './trades.js';

/** @typedef {import('./geometry.js').Plot} Plot */
/** @typedef {import('./store.js').ColumnStore} ColumnStore */
/** @typedef {import('./palette.js').Theme} Theme */
/** @typedef {import('./trades.js').Cluster} Cluster */

const TAU = 2 * Math.PI;
/** Radius of the reference dot of the legend, px. */
export const REFERENCE_RADIUS = 9;
const LARGEST_RADIUS = 30;
const SMALLEST_RADIUS = 1.1;
/** Half the height of the last price's tag, px. */
const TAG_HALF = 9;

/** Area of dots in proportion to volume; the volume of the reference dot is a round number that moves rarely. */
export class DotScale {
  constructor() {
    this.reference = NaN;
    /** Smallest cluster drawn. */
    this.least = 0;
  }

  /**
   * @param {Cluster[]} clusters
   * @param {number} filter  0…1, share of the clusters (smallest first) left out
   */
  update(clusters, filter) {
    if (clusters.length === 0) return;
    const sizes = Float64Array.from(clusters, (c) => c.size).sort();
    const large = niceCeil(sizes[Math.min(sizes.length - 1, Math.floor(sizes.length * 0.93))]);
    if (!(large <= this.reference * 1.01 && large >= this.reference * 0.35)) this.reference = large;
    this.least = filter <= 0 ? 0 : niceCeil(sizes[Math.min(sizes.length - 1, Math.floor(sizes.length * filter))]);
  }

  /** @param {number} size */
  radius(size) {
    const r = REFERENCE_RADIUS * Math.sqrt(size / this.reference);
    return r > LARGEST_RADIUS ? LARGEST_RADIUS : r < SMALLEST_RADIUS ? SMALLEST_RADIUS : r;
  }
}

/**
 * @typedef {object} OverlayInput
 * @property {ColumnStore} store
 * @property {Plot} plot
 * @property {Theme} theme
 * @property {import('./format.js').InstrumentFormat} price
 * @property {import('./time.js').MarketClock} clock
 * @property {number} originMs
 * @property {DotScale} dots
 * @property {number} dotFilter  0…1
 * @property {{tick: number, direction: number} | null} last  last trade: price in ticks and the direction it came from
 * @property {boolean} rescale  fit the dot scale this time
 */

/** @param {import('./surface.js').Surface} surface @param {OverlayInput} o */
export function drawOverlay(surface, o) {
  const g = surface.begin();
  const { plot, theme } = o;
  g.font = FONT;
  g.textBaseline = 'middle';
  g.save();
  g.beginPath();
  g.rect(0, 0, plot.width, plot.height);
  g.clip();
  drawGrid(g, o);
  drawStale(g, o);
  drawQuotes(g, o);
  drawDots(g, o);
  g.restore();
  g.fillStyle = theme.panel;
  g.fillRect(plot.width, 0, AXIS_WIDTH, plot.height + TIME_HEIGHT);
  g.fillRect(0, plot.height, plot.width, TIME_HEIGHT);
  drawPriceAxis(g, o);
  drawTimeAxis(g, o);
  if (o.last !== null) drawLast(g, o, o.last);
}

/** @param {OverlayInput} o */
function priceLabels(o) {
  const { rect, height } = o.plot;
  const step = priceStep(rect.p1 - rect.p0, height / 36, o.price.tick);
  return { step, first: Math.ceil((rect.p0 - 0.5) / step) * step };
}

/** @param {OverlayInput} o */
function timeLabels(o) {
  const { rect, width } = o.plot;
  const { ms } = o.store;
  const step = timeStep((rect.c1 - rect.c0) * ms, width / 92);
  const shift = o.clock.offset(o.originMs + rect.c1 * ms);
  const first = Math.ceil((o.originMs + shift + rect.c0 * ms) / step) * step - shift - o.originMs;
  return { step, first, end: rect.c1 * ms };
}

/** @param {CanvasRenderingContext2D} g @param {OverlayInput} o */
function drawGrid(g, o) {
  const { plot } = o;
  g.strokeStyle = o.theme.grid;
  g.lineWidth = 1;
  g.beginPath();
  const prices = priceLabels(o);
  for (let p = prices.first; p < plot.rect.p1; p += prices.step) {
    const y = Math.round(yOf(plot, p)) + 0.5;
    g.moveTo(0, y);
    g.lineTo(plot.width, y);
  }
  const times = timeLabels(o);
  for (let t = times.first; t < times.end; t += times.step) {
    const x = Math.round(xOf(plot, t / o.store.ms)) + 0.5;
    g.moveTo(x, 0);
    g.lineTo(x, plot.height);
  }
  g.stroke();
}

/** Hatch the columns whose book was not live. @param {CanvasRenderingContext2D} g @param {OverlayInput} o */
function drawStale(g, o) {
  const { store, plot, theme } = o;
  const from = Math.max(Math.floor(plot.rect.c0), store.oldest);
  const to = Math.min(Math.ceil(plot.rect.c1), store.head + 1);
  for (let c = from; c < to; ) {
    if (!store.has(c) || store.isLive(c)) {
      c++;
      continue;
    }
    let end = c + 1;
    while (end < to && store.has(end) && !store.isLive(end)) end++;
    const left = xOf(plot, c);
    const right = xOf(plot, end);
    g.save();
    g.beginPath();
    g.rect(left, 0, right - left, plot.height);
    g.clip();
    g.strokeStyle = theme.faint;
    g.globalAlpha = 0.35;
    g.lineWidth = 1;
    g.beginPath();
    for (let x = left - plot.height - (left % 12); x < right; x += 12) {
      g.moveTo(x, plot.height);
      g.lineTo(x + plot.height, 0);
    }
    g.stroke();
    g.restore();
    if (right - left > 78) {
      g.fillStyle = theme.dim;
      g.textAlign = 'center';
      g.fillText('no live book', (left + right) / 2, 14);
    }
    c = end;
  }
}

/** Stepped best bid and ask, on a casing that shows them on any colour. @param {CanvasRenderingContext2D} g @param {OverlayInput} o */
function drawQuotes(g, o) {
  const { theme } = o;
  g.lineJoin = 'round';
  const bid = steppedPath(o, o.store.bid);
  const ask = steppedPath(o, o.store.ask);
  g.strokeStyle = theme.casing;
  g.lineWidth = 3.2;
  g.stroke(bid);
  g.stroke(ask);
  g.lineWidth = 1.5;
  g.strokeStyle = theme.bid;
  g.stroke(bid);
  g.strokeStyle = theme.ask;
  g.stroke(ask);
}

/** @param {OverlayInput} o @param {Int32Array} ticks */
function steppedPath(o, ticks) {
  const { store, plot } = o;
  const path = new Path2D();
  const from = Math.max(Math.floor(plot.rect.c0), store.oldest);
  const to = Math.min(Math.ceil(plot.rect.c1), store.head + 1);
  let open = false;
  let before = 0;
  for (let c = from; c < to; c++) {
    const tick = store.has(c) ? ticks[store.slot(c)] : NO_TICK;
    if (tick === NO_TICK) {
      if (open) path.lineTo(xOf(plot, c), yOf(plot, before));
      open = false;
    } else if (!open) {
      path.moveTo(xOf(plot, c), yOf(plot, tick));
      open = true;
    } else if (tick !== before) {
      const x = xOf(plot, c);
      path.lineTo(x, yOf(plot, before));
      path.lineTo(x, yOf(plot, tick));
    }
    before = tick;
  }
  if (open) path.lineTo(xOf(plot, to), yOf(plot, before));
  return path;
}

/** @param {CanvasRenderingContext2D} g @param {OverlayInput} o */
function drawDots(g, o) {
  const { store, plot, theme, dots } = o;
  const { rect } = plot;
  const perX = Math.max(1, Math.ceil(((rect.c1 - rect.c0) / plot.width) * 7));
  const perY = Math.max(1, Math.floor(((rect.p1 - rect.p0) / plot.height) * 4));
  const margin = ((rect.p1 - rect.p0) / plot.height) * LARGEST_RADIUS;
  const clusters = clusterTrades(store.trades, rect.c0 - perX, rect.c1, rect.p0 - margin, rect.p1 + margin, perX, perY);
  if (o.rescale || !Number.isFinite(dots.reference)) dots.update(clusters, o.dotFilter);
  g.lineWidth = 1;
  for (const side of [0, 2, 1]) {
    const circles = new Path2D();
    const glyphs = new Path2D();
    for (const { x, y, size, side: own } of clusters) {
      if (own !== side || size < dots.least) continue;
      const r = dots.radius(size);
      const px = xOf(plot, x);
      const py = yOf(plot, y);
      if (side === 0) circles.rect(px - r * 0.886, py - r * 0.886, r * 1.772, r * 1.772);
      else {
        circles.moveTo(px + r, py);
        circles.arc(px, py, r, 0, TAU);
        // The aggressor's arrow, so that colour does not speak alone.
        if (r >= 5.5) triangle(glyphs, px, py, side === 1 ? r * 0.5 : -r * 0.5);
      }
    }
    g.fillStyle = side === 1 ? theme.bidFill : side === 2 ? theme.askFill : theme.neutral;
    g.fill(circles);
    g.strokeStyle = theme.casing;
    g.stroke(circles);
    g.fillStyle = theme.name === 'dark' ? 'rgba(4,7,12,.78)' : 'rgba(255,255,255,.92)';
    g.fill(glyphs);
  }
}

/** @param {Path2D} path @param {number} x @param {number} y @param {number} h  upwards when positive */
function triangle(path, x, y, h) {
  path.moveTo(x, y - h);
  path.lineTo(x + Math.abs(h) * 0.95, y + h * 0.7);
  path.lineTo(x - Math.abs(h) * 0.95, y + h * 0.7);
  path.closePath();
}

/** @param {CanvasRenderingContext2D} g @param {OverlayInput} o */
function drawPriceAxis(g, o) {
  const { plot, theme } = o;
  const { step, first } = priceLabels(o);
  g.fillStyle = theme.line;
  g.fillRect(plot.width, 0, 1, plot.height + TIME_HEIGHT);
  g.fillStyle = theme.dim;
  g.textAlign = 'left';
  const tag = o.last === null ? NaN : tagHeight(plot, o.last.tick);
  for (let p = first; p < plot.rect.p1; p += step) {
    const y = yOf(plot, p);
    if (isReadable(y, plot.height, tag)) g.fillText(o.price.text(p), plot.width + 7, y);
  }
}

/** Whether a price label is whole: not cut by an edge, not half under the last price's tag. @param {number} y @param {number} height @param {number} tag  NaN for none */
export function isReadable(y, height, tag) {
  return y > 7 && y < height - 7 && !(Math.abs(y - tag) < TAG_HALF + 5);
}

/** Where the middle of the last price's tag stands: at its price, or at the edge it lies beyond. @param {Plot} plot @param {number} tick */
function tagHeight(plot, tick) {
  return Math.min(plot.height - TAG_HALF, Math.max(TAG_HALF, yOf(plot, tick)));
}

/** @param {CanvasRenderingContext2D} g @param {OverlayInput} o */
function drawTimeAxis(g, o) {
  const { plot, theme, store } = o;
  const { step, first, end } = timeLabels(o);
  g.fillStyle = theme.line;
  g.fillRect(0, plot.height, plot.width, 1);
  g.fillStyle = theme.dim;
  g.font = FONT_SMALL;
  g.textAlign = 'center';
  const digits = step < 1000 ? 1 : 0;
  for (let t = first; t < end; t += step) {
    const x = xOf(plot, t / store.ms);
    if (x < 28 || x > plot.width - 28) continue;
    g.fillText(step >= 60_000 ? o.clock.minute(o.originMs + t) : o.clock.time(o.originMs + t, digits), x, plot.height + 10);
  }
  g.textAlign = 'left';
  g.fillText(o.clock.label, plot.width + 7, plot.height + 10);
  g.font = FONT;
}

/** @param {CanvasRenderingContext2D} g @param {OverlayInput} o @param {{tick: number, direction: number}} last */
function drawLast(g, o, last) {
  const { plot, theme, store } = o;
  const y = yOf(plot, last.tick);
  const inside = y >= 0 && y <= plot.height;
  const at = tagHeight(plot, last.tick);
  if (inside) {
    g.strokeStyle = theme.accent;
    g.setLineDash([2, 3]);
    g.beginPath();
    g.moveTo(Math.min(plot.width, Math.max(0, xOf(plot, store.head + 1))), Math.round(y) + 0.5);
    g.lineTo(plot.width, Math.round(y) + 0.5);
    g.stroke();
    g.setLineDash([]);
  }
  g.fillStyle = theme.accent;
  g.beginPath();
  g.moveTo(plot.width, at);
  g.lineTo(plot.width + 5, at - TAG_HALF);
  g.lineTo(plot.width + AXIS_WIDTH, at - TAG_HALF);
  g.lineTo(plot.width + AXIS_WIDTH, at + TAG_HALF);
  g.lineTo(plot.width + 5, at + TAG_HALF);
  g.fill();
  g.fillStyle = theme.onAccent;
  g.font = FONT_BOLD;
  g.textAlign = 'left';
  const mark = last.direction > 0 ? '▲' : last.direction < 0 ? '▼' : '';
  g.fillText(o.price.text(last.tick), plot.width + 7, at + 0.5);
  if (mark !== '' && o.price.text(last.tick).length < 9) {
    g.textAlign = 'right';
    g.font = FONT_SMALL;
    g.fillText(inside ? mark : y < 0 ? '↑' : '↓', plot.width + AXIS_WIDTH - 2, at + 0.5);
  }
  g.font = FONT;
}
