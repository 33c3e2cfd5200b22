// @ts-check
/** Time and sales: the newest prints first, with a smallest size. */
import { FONT, FONT_BOLD, FONT_SMALL } from './palette.js';

const ROW = 16;
/** Prints looked at before giving up on filling the panel: the filter may leave few. */
const REACH = 20_000;

/** @typedef {import('./protocol.js').Trade} Trade */

/**
 * Newest prints of at least `least`, newest first. Prints of one moment, price and side are one line.
 * @param {Trade[]} trades  oldest first
 * @param {number} least
 * @param {number} count
 * @returns {Trade[]}
 */
export function newestPrints(trades, least, count) {
  /** @type {Trade[]} */
  const out = [];
  for (let i = trades.length - 1, end = Math.max(0, trades.length - REACH); i >= end && out.length < count; ) {
    const print = { ...trades[i--] };
    while (i >= end && sameLine(trades[i], print)) {
      print.size += trades[i].size;
      print.count += trades[i].count;
      i--;
    }
    if (print.size >= least) out.push(print);
  }
  return out;
}

/** @param {Trade} a @param {Trade} b */
function sameLine(a, b) {
  return a.col === b.col && a.tick === b.tick && a.fraction === b.fraction && a.side === b.side;
}

/**
 * @param {import('./surface.js').Surface} surface
 * @param {object} o
 * @param {Trade[]} o.trades
 * @param {number} o.least
 * @param {number} o.ms  length of a column
 * @param {number} o.originMs
 * @param {import('./time.js').MarketClock} o.clock
 * @param {import('./palette.js').Theme} o.theme
 * @param {import('./format.js').InstrumentFormat} o.price
 * @param {number} o.reference  size of a full bar
 */
export function drawTape(surface, o) {
  const g = surface.begin();
  const { theme } = o;
  const { width, height } = surface;
  const rows = newestPrints(o.trades, o.least, Math.floor(height / ROW));
  g.textBaseline = 'middle';
  rows.forEach((t, i) => {
    const y = i * ROW + ROW / 2;
    const colour = t.side === 1 ? theme.bid : t.side === 2 ? theme.ask : theme.neutral;
    const bar = Math.min(1, Math.sqrt(t.size / o.reference)) * (width * 0.5);
    g.fillStyle = t.side === 1 ? theme.bidBar : t.side === 2 ? theme.askBar : theme.line;
    g.globalAlpha = 0.8;
    g.fillRect(width - bar, y - ROW / 2 + 1, bar, ROW - 2);
    g.globalAlpha = 1;
    g.font = FONT_SMALL;
    g.textAlign = 'left';
    g.fillStyle = theme.dim;
    g.fillText(o.clock.time(o.originMs + t.col * o.ms, 2), 8, y);
    g.fillStyle = colour;
    g.font = FONT;
    // Inferred aggressors are marked: the venue did not say.
    g.fillText(`${t.side === 1 ? '▲' : t.side === 2 ? '▼' : '■'}${t.inferred ? '?' : ''}`, 86, y);
    g.textAlign = 'right';
    g.fillText(o.price.text(t.tick + t.fraction), width * 0.68, y);
    g.font = t.size >= o.reference ? FONT_BOLD : FONT;
    g.fillStyle = theme.fg;
    g.fillText(o.price.size(t.size), width - 6, y);
    if (t.count > 1 && width > 250) {
      g.font = FONT_SMALL;
      g.fillStyle = theme.dim; // fainter, it would drown in the bar behind it
      g.fillText(`×${t.count}`, width - 58, y);
    }
  });
  if (rows.length === 0) {
    g.font = FONT_SMALL;
    g.fillStyle = theme.dim;
    g.textAlign = 'center';
    g.fillText(o.least > 0 ? `no prints of ${o.price.size(o.least)} or more` : 'no trades yet', width / 2, 16);
  }
}
