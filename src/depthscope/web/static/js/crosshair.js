// @ts-check
/** Crosshair over heatmap and strips, on a canvas of its own: moving the pointer repaints nothing else. */
import { AXIS_WIDTH, TIME_HEIGHT, colAt, tickAt, xOf } from './geometry.js';
import { formatSigned } from './format.js';
import { FONT, FONT_BOLD } from './palette.js';
import { STRIPS } from './strips.js';
import { formatSpan } from './time.js';

/**
 * @typedef {object} CrossInput
 * @property {import('./store.js').ColumnStore} store
 * @property {import('./geometry.js').Plot} plot
 * @property {import('./palette.js').Theme} theme
 * @property {import('./format.js').InstrumentFormat} price
 * @property {import('./time.js').MarketClock} clock
 * @property {number} originMs
 * @property {{x: number, y: number}} at  CSS pixels from the upper left of the chart
 * @property {number} stripsTop
 * @property {number} stripsHeight
 */

/**
 * What stands at a point, in words.
 * @param {CrossInput} o
 * @returns {{price: string, time: string, lines: string[]}}
 */
export function describePoint(o) {
  const { store, plot, at } = o;
  const col = colAt(plot, at.x);
  const tick = tickAt(plot, at.y);
  const price = o.price.text(tick);
  const time = o.clock.time(o.originMs + col * store.ms, store.ms < 1000 ? 2 : 0);
  const ago = store.head - col;
  const lines = [`${time}  ${ago > 0 ? `−${formatSpan(ago * store.ms)}` : ago < 0 ? 'not yet' : 'now'}`];
  if (ago >= 0) {
    const mid = store.mid(col);
    if (!store.has(col)) lines.push('no history here');
    else if (!store.isLive(col)) lines.push('no live book');
    else {
      const size = store.at(col, tick);
      const away = Number.isFinite(mid) ? `  ${formatSigned(tick - mid, (v) => v.toFixed(1).replace('.0', ''))} ticks from mid` : '';
      lines.push(Number.isNaN(size) ? 'outside the recorded window' : `${store.row > 1 ? `${store.row} ticks hold` : 'resting'} ${o.price.size(size)}${away}`);
    }
    let bought = 0;
    let sold = 0;
    const { list } = store.trades;
    for (let i = store.trades.from(col); i < list.length && list[i].col === col; i++) {
      if (list[i].tick !== tick) continue;
      if (list[i].side === 1) bought += list[i].size;
      else if (list[i].side === 2) sold += list[i].size;
    }
    if (bought > 0) lines.push(`▲ bought ${o.price.size(bought)}`);
    if (sold > 0) lines.push(`▼ sold ${o.price.size(sold)}`);
  }
  return { price, time, lines };
}

/** @param {import('./surface.js').Surface} surface @param {CrossInput | null} o */
export function drawCrosshair(surface, o) {
  const g = surface.begin();
  if (o === null) return;
  const { plot, theme, at } = o;
  if (at.x >= plot.width) return;
  const inHeat = at.y < plot.height;
  g.strokeStyle = theme.fg;
  g.globalAlpha = 0.65;
  g.setLineDash([3, 3]);
  g.lineWidth = 1;
  g.beginPath();
  const x = Math.round(at.x) + 0.5;
  g.moveTo(x, 0);
  g.lineTo(x, o.stripsTop + o.stripsHeight);
  if (inHeat) {
    const y = Math.round(at.y) + 0.5;
    g.moveTo(0, y);
    g.lineTo(plot.width, y);
  }
  g.stroke();
  g.setLineDash([]);
  g.globalAlpha = 1;
  g.font = FONT;
  g.textBaseline = 'middle';
  const text = describePoint(o);
  drawTimeTag(g, o, text.time);
  if (inHeat) {
    g.fillStyle = theme.fg;
    g.fillRect(plot.width, at.y - 9, AXIS_WIDTH, 18);
    g.fillStyle = theme.bg;
    g.font = FONT_BOLD;
    g.textAlign = 'left';
    g.fillText(text.price, plot.width + 7, at.y + 0.5);
    drawBox(g, o, [text.price, ...text.lines]);
  }
  drawStripValues(g, o);
}

/** @param {CanvasRenderingContext2D} g @param {CrossInput} o @param {string} time */
function drawTimeTag(g, o, time) {
  const width = g.measureText(time).width + 12;
  const left = Math.min(o.plot.width - width, Math.max(0, o.at.x - width / 2));
  g.fillStyle = o.theme.fg;
  g.fillRect(left, o.plot.height + 1, width, TIME_HEIGHT - 1);
  g.fillStyle = o.theme.bg;
  g.textAlign = 'left';
  g.fillText(time, left + 6, o.plot.height + TIME_HEIGHT / 2 + 0.5);
}

/** @param {CanvasRenderingContext2D} g @param {CrossInput} o @param {string[]} lines */
function drawBox(g, o, lines) {
  const { plot, theme, at } = o;
  g.font = FONT;
  const width = Math.max(...lines.map((l) => g.measureText(l).width)) + 20;
  const height = lines.length * 15 + 9;
  const left = at.x + 14 + width > plot.width ? at.x - 14 - width : at.x + 14;
  const top = at.y - 14 - height < 4 ? at.y + 14 : at.y - 14 - height;
  g.fillStyle = theme.panel;
  g.globalAlpha = 0.94;
  g.fillRect(left, top, width, height);
  g.globalAlpha = 1;
  g.strokeStyle = theme.line;
  g.strokeRect(Math.round(left) + 0.5, Math.round(top) + 0.5, Math.round(width), Math.round(height));
  g.textAlign = 'left';
  lines.forEach((line, i) => {
    g.font = i === 0 ? FONT_BOLD : FONT;
    g.fillStyle = i === 0 ? theme.fg : theme.dim;
    g.fillText(line, left + 10, top + 12 + i * 15);
  });
}

/** The value of each strip at the pointer's time. @param {CanvasRenderingContext2D} g @param {CrossInput} o */
function drawStripValues(g, o) {
  const { store, plot, theme } = o;
  const col = colAt(plot, o.at.x);
  if (!store.has(col)) return;
  const height = o.stripsHeight / STRIPS.length;
  g.font = FONT;
  STRIPS.forEach((strip, i) => {
    const value = strip.value(store, store.slot(col));
    if (Number.isNaN(value)) return;
    const text = strip.text(value, { store, plot, theme, price: o.price });
    const width = g.measureText(text).width + 10;
    const x = xOf(plot, col + 0.5);
    const left = x + 6 + width > plot.width ? x - 6 - width : x + 6;
    const top = o.stripsTop + i * height + 3;
    g.fillStyle = theme.panel;
    g.globalAlpha = 0.9;
    g.fillRect(left, top, width, 15);
    g.globalAlpha = 1;
    g.fillStyle = theme.fg;
    g.textAlign = 'left';
    g.fillText(text, left + 5, top + 8);
  });
}
