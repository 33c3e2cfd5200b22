// @ts-check
/** Mid, spread, imbalance, order-flow imbalance and cumulative delta under the heatmap, on its time axis. */
import { AXIS_WIDTH, xOf } from './geometry.js';
import { formatFixed, formatSigned } from './format.js';
import { FONT_BOLD, FONT_SMALL } from './palette.js';
import { NO_TICK } from './protocol.js';

/** @typedef {import('./store.js').ColumnStore} ColumnStore */
/** @typedef {import('./palette.js').Theme} Theme */

/**
 * @typedef {object} StripInput
 * @property {ColumnStore} store
 * @property {import('./geometry.js').Plot} plot  of the heatmap: only its columns and width count
 * @property {Theme} theme
 * @property {import('./format.js').InstrumentFormat} price
 */

/**
 * @typedef {object} Strip
 * @property {string} id
 * @property {string} name
 * @property {string} unit
 * @property {'line' | 'step' | 'bars'} kind
 * @property {boolean} zero  the zero line is part of the picture
 * @property {(theme: Theme) => string} colour
 * @property {(store: ColumnStore, slot: number) => number} value
 * @property {(value: number, o: StripInput) => string} text
 */

/** @param {ColumnStore} store @param {number} slot */
const quoted = (store, slot) => store.bid[slot] !== NO_TICK && store.ask[slot] !== NO_TICK;

/** @type {Strip[]} */
export const STRIPS = [
  {
    id: 'mid', name: 'MID', unit: '', kind: 'step', zero: false, colour: (t) => t.fg,
    value: (s, i) => (quoted(s, i) ? (s.bid[i] + s.ask[i]) / 2 : NaN),
    text: (v, o) => o.price.half(v),
  },
  {
    id: 'spread', name: 'SPREAD', unit: 'ticks', kind: 'step', zero: true, colour: (t) => t.accent,
    value: (s, i) => (quoted(s, i) ? s.ask[i] - s.bid[i] : NaN),
    text: (v) => formatFixed(v, Number.isInteger(v) ? 0 : 1),
  },
  {
    id: 'imbalance', name: 'IMBALANCE', unit: 'top 5', kind: 'line', zero: true, colour: (t) => t.bid,
    value: (s, i) => s.imbalance[i],
    text: (v) => formatSigned(v, (x) => x.toFixed(2)),
  },
  {
    id: 'ofi', name: 'OFI', unit: '', kind: 'bars', zero: true, colour: (t) => t.neutral,
    value: (s, i) => s.ofi[i],
    text: (v, o) => formatSigned(v, (x) => o.price.size(x)),
  },
  {
    id: 'cvd', name: 'CVD', unit: '', kind: 'line', zero: false, colour: (t) => t.ask,
    value: (s, i) => (s.bid[i] === NO_TICK && s.ask[i] === NO_TICK ? NaN : s.cvd[i]),
    text: (v, o) => formatSigned(v, (x) => o.price.size(x)),
  },
];

/**
 * Values of a strip, one per pixel: lowest, highest and last (sums for bars, because order flow adds up), and
 * whether something between it and the one before is not known.
 * @typedef {{low: Float64Array, high: Float64Array, last: Float64Array, gap: Uint8Array, min: number, max: number}} Trace
 */

/** @param {Strip} strip @param {StripInput} o @returns {Trace} */
export function traceStrip(strip, o) {
  const { store, plot } = o;
  const perBar = strip.kind === 'bars' ? 3 : 1;
  const pixels = Math.max(1, Math.ceil(plot.width / perBar));
  const low = new Float64Array(pixels).fill(NaN);
  const high = new Float64Array(pixels).fill(NaN);
  const last = new Float64Array(pixels).fill(NaN);
  const gap = new Uint8Array(pixels);
  let unknown = -1; // a pixel with nothing to show since the last that has something
  const from = Math.max(Math.floor(plot.rect.c0), store.oldest);
  const to = Math.min(Math.ceil(plot.rect.c1), store.head + 1);
  let min = Infinity;
  let max = -Infinity;
  for (let c = from; c < to; c++) {
    const v = store.has(c) ? strip.value(store, store.slot(c)) : NaN;
    const x = Math.min(pixels - 1, Math.max(0, Math.floor(xOf(plot, c + 0.5) / perBar)));
    if (Number.isNaN(v)) {
      if (Number.isNaN(last[x])) unknown = x;
      continue;
    }
    if (strip.kind === 'bars') last[x] = Number.isNaN(last[x]) ? v : last[x] + v;
    else {
      if (unknown >= 0 && unknown < x) gap[x] = 1;
      unknown = -1;
      last[x] = v;
      if (!(v >= low[x])) low[x] = v;
      if (!(v <= high[x])) high[x] = v;
      if (v < min) min = v;
      if (v > max) max = v;
    }
  }
  if (strip.kind === 'bars') {
    for (const v of last) {
      if (v < min) min = v;
      if (v > max) max = v;
    }
  }
  return { low, high, last, gap, min, max };
}

/** @param {import('./surface.js').Surface} surface @param {StripInput} o */
export function drawStrips(surface, o) {
  const g = surface.begin();
  const height = surface.height / STRIPS.length;
  g.textBaseline = 'middle';
  STRIPS.forEach((strip, i) => drawStrip(g, strip, o, Math.round(i * height), Math.round((i + 1) * height), surface.width));
}

/**
 * @param {CanvasRenderingContext2D} g
 * @param {Strip} strip
 * @param {StripInput} o
 * @param {number} top
 * @param {number} bottom
 * @param {number} right
 */
function drawStrip(g, strip, o, top, bottom, right) {
  const { plot, theme, store } = o;
  g.fillStyle = theme.line;
  g.fillRect(0, bottom - 1, right, 1);
  g.fillRect(plot.width, top, 1, bottom - top);
  const trace = traceStrip(strip, o);
  let { min, max } = trace;
  if (strip.zero) {
    min = Math.min(min, 0);
    max = Math.max(max, 0);
  }
  if (strip.id === 'imbalance') {
    min = -1;
    max = 1;
  }
  g.font = FONT_SMALL;
  g.textAlign = 'left';
  const now = store.head >= 0 ? strip.value(store, store.slot(store.head)) : NaN;
  const shown = strip.kind === 'bars' ? sumOver(strip, store, 1000) : now;
  const unit = strip.kind === 'bars' ? '1 s' : strip.unit;
  const centre = (top + bottom) / 2;
  g.fillStyle = theme.dim;
  g.fillText(strip.name, plot.width + AXIS_WIDTH + 8, centre - 8);
  g.fillText(unit, plot.width + AXIS_WIDTH + 8 + g.measureText(strip.name).width + 6, centre - 8);
  g.font = FONT_BOLD;
  g.fillStyle = strip.kind === 'bars' ? (shown < 0 ? theme.ask : theme.bid) : strip.colour(theme);
  const mark = strip.zero && strip.id !== 'spread' && Number.isFinite(shown) ? (shown > 0 ? '▲ ' : shown < 0 ? '▼ ' : '■ ') : '';
  g.fillText(mark + strip.text(shown, o), plot.width + AXIS_WIDTH + 8, centre + 7);
  if (!(max >= min)) return;
  if (max - min < 1e-9) {
    min -= 1;
    max += 1;
  }
  const pad = 5;
  /** @param {number} v */
  const y = (v) => bottom - 1 - pad - ((v - min) / (max - min)) * (bottom - top - 1 - 2 * pad);
  if (strip.zero && min < 0) {
    g.fillStyle = theme.line;
    g.fillRect(0, Math.round(y(0)), plot.width, 1);
  }
  if (strip.kind === 'bars') drawBars(g, trace, theme, y, plot.width);
  else drawLine(g, trace, strip.colour(theme), y, strip.kind === 'step');
  g.font = FONT_SMALL;
  g.fillStyle = theme.dim;
  g.fillText(strip.text(max, o), plot.width + 7, top + 9);
  if (bottom - top > 24) g.fillText(strip.text(min, o), plot.width + 7, bottom - 9);
}

/** @param {CanvasRenderingContext2D} g @param {Trace} trace @param {string} colour @param {(v: number) => number} y @param {boolean} step */
function drawLine(g, trace, colour, y, step) {
  const { low, high, last, gap } = trace;
  g.strokeStyle = colour;
  g.lineWidth = 1.2;
  g.lineJoin = 'round';
  g.beginPath();
  let open = false;
  let before = 0;
  for (let x = 0; x < last.length; x++) {
    if (Number.isNaN(last[x])) continue;
    const at = y(last[x]);
    const begins = !open || gap[x]; // no line across what is not known
    if (begins) g.moveTo(x, at);
    else if (step && at !== before) g.lineTo(x, before);
    // A spike inside one pixel is drawn, not averaged away.
    if (high[x] > last[x]) g.lineTo(x, y(high[x]));
    if (low[x] < last[x]) g.lineTo(x, y(low[x]));
    g.lineTo(begins ? x + 1 : x, at); // what stands alone is seen, too
    open = true;
    before = at;
  }
  g.stroke();
}

/** @param {CanvasRenderingContext2D} g @param {Trace} trace @param {Theme} theme @param {(v: number) => number} y @param {number} width */
function drawBars(g, trace, theme, y, width) {
  const zero = y(0);
  for (const sign of [1, -1]) {
    g.fillStyle = sign > 0 ? theme.bid : theme.ask;
    for (let x = 0; x < trace.last.length; x++) {
      const v = trace.last[x] * sign;
      if (!(v > 0) || x * 3 >= width) continue;
      const at = y(trace.last[x]);
      g.fillRect(x * 3, Math.min(zero, at), 2, Math.max(1, Math.abs(at - zero)));
    }
  }
}

/** Sum over the last `ms` of final values. @param {Strip} strip @param {ColumnStore} store @param {number} ms */
function sumOver(strip, store, ms) {
  let sum = NaN;
  for (let c = store.head, low = store.head - Math.max(1, ms / store.ms); c > low && c >= 0; c--) {
    if (!store.has(c)) continue;
    const v = strip.value(store, store.slot(c));
    if (!Number.isNaN(v)) sum = (Number.isNaN(sum) ? 0 : sum) + v;
  }
  return sum;
}
