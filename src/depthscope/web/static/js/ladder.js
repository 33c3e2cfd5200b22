// @ts-check
/** The price ladder (DOM): sold | bid | price | ask | bought | pulled or stacked. Draws rows made by ladder_model.js. */
import { commonPrefix } from './format.js';
import { FONT, FONT_BOLD, FONT_SMALL } from './palette.js';

export const ROW_HEIGHT = 17;
const HEADER = 20;
const FOOTER = 20;
/** Room for order counts, at the outer edges of bid and ask. */
const LANE = 20;
const FONT_TINY = FONT.replace('11px', '9px');

/** @typedef {import('./ladder_model.js').Row} Row */

/**
 * @typedef {object} LadderInput
 * @property {Row[]} rows
 * @property {import('./palette.js').Theme} theme
 * @property {import('./format.js').InstrumentFormat} price
 * @property {Map<number, number> | null} orders  order count by tick, where the feed tells
 * @property {number} group
 * @property {number} direction  of the last trade
 * @property {string} pullWindow
 */

/** Rows that fit. @param {number} height */
export function rowsIn(height) {
  return Math.max(4, Math.floor((height - HEADER - FOOTER) / ROW_HEIGHT));
}

/** Column edges for a width. @param {number} width */
function layout(width) {
  const price = Math.min(76, Math.max(58, width * 0.225));
  const rest = (width - price) / 5;
  return { sold: 0, bid: rest * 0.8, price: rest * 2.1, ask: rest * 2.1 + price, bought: rest * 3.4 + price, change: rest * 4.2 + price, right: width };
}

/** @param {import('./surface.js').Surface} surface @param {LadderInput} o */
export function drawLadder(surface, o) {
  const g = surface.begin();
  const { theme, rows } = o;
  const { width } = surface;
  const x = layout(width);
  const height = HEADER + rows.length * ROW_HEIGHT;
  const largest = rows.reduce((m, r) => Math.max(m, r.bid || 0, r.ask || 0), 0);
  const busiest = rows.reduce((m, r) => Math.max(m, r.sold, r.bought), 0);
  const swing = rows.reduce((m, r) => Math.max(m, Math.abs(r.change) || 0), 0);
  g.textBaseline = 'middle';

  g.fillStyle = theme.panel;
  g.fillRect(x.price, HEADER, x.ask - x.price, rows.length * ROW_HEIGHT);
  rows.forEach((row, i) => drawRow(g, row, HEADER + i * ROW_HEIGHT, x, o, largest, busiest, swing));
  drawPrices(g, o, x);

  g.fillStyle = theme.line;
  for (const edge of [x.bid, x.price, x.ask, x.bought, x.change]) g.fillRect(Math.round(edge), HEADER, 1, height - HEADER);
  g.fillRect(0, HEADER - 1, width, 1);
  g.fillRect(0, height, width, 1);
  drawTitles(g, o, x);
  drawTotals(g, o, x, height + FOOTER / 2);
}

/** @typedef {ReturnType<typeof layout>} Edges */

/**
 * @param {CanvasRenderingContext2D} g
 * @param {Row} row
 * @param {number} y
 * @param {Edges} x
 * @param {LadderInput} o
 * @param {number} largest
 * @param {number} busiest
 * @param {number} swing
 */
function drawRow(g, row, y, x, o, largest, busiest, swing) {
  const { theme } = o;
  const middle = y + ROW_HEIGHT / 2 + 0.5;
  const bar = ROW_HEIGHT - 2;
  g.font = FONT;
  g.textAlign = 'right';
  if (row.bestBid || row.bestAsk) {
    g.fillStyle = row.bestBid ? theme.bidBar : theme.askBar;
    g.fillRect(x.price, y, x.ask - x.price, ROW_HEIGHT);
  }
  if (busiest > 0) {
    g.globalAlpha = 0.55;
    g.fillStyle = theme.askBar;
    const sold = (row.sold / busiest) * (x.bid - x.sold - 2);
    g.fillRect(x.bid - sold, y + 1, sold, bar);
    g.fillStyle = theme.bidBar;
    g.fillRect(x.bought + 1, y + 1, (row.bought / busiest) * (x.change - x.bought - 2), bar);
    g.globalAlpha = 1;
  }
  g.fillStyle = theme.dim;
  if (row.sold > 0) g.fillText(o.price.size(row.sold), x.bid - 5, middle);
  if (row.bought > 0) g.fillText(o.price.size(row.bought), x.change - 5, middle);
  if (row.bid > 0) {
    const w = (row.bid / largest) * (x.price - x.bid - 2);
    g.fillStyle = theme.bidBar;
    g.fillRect(x.price - w, y + 1, w, bar);
    g.fillStyle = theme.fg;
    g.font = row.bid > largest * 0.7 ? FONT_BOLD : FONT;
    g.fillText(o.price.size(row.bid), x.price - 5, middle);
    drawOrders(g, o, row.tick, x.bid + LANE - 2, middle);
  }
  if (row.ask > 0) {
    const w = (row.ask / largest) * (x.bought - x.ask - 2);
    g.fillStyle = theme.askBar;
    g.fillRect(x.ask + 1, y + 1, w, bar);
    g.fillStyle = theme.fg;
    g.font = row.ask > largest * 0.7 ? FONT_BOLD : FONT;
    g.fillText(o.price.size(row.ask), x.bought - 5 - (o.orders === null ? 0 : LANE - 3), middle);
    drawOrders(g, o, row.tick, x.bought - 4, middle);
  }
  g.font = FONT_SMALL;
  if (Number.isFinite(row.change) && Math.abs(row.change) > swing * 0.03) {
    const up = row.change > 0;
    const half = (x.right - x.change - 4) * (Math.abs(row.change) / swing);
    g.fillStyle = up ? theme.bidBar : theme.askBar;
    g.globalAlpha = 0.8;
    g.fillRect(x.right - 2 - half, y + 1, half, bar);
    g.globalAlpha = 1;
    g.fillStyle = theme.dim;
    g.fillText((up ? '+' : '−') + o.price.size(Math.abs(row.change)), x.right - 4, middle);
  }
}

/** @param {CanvasRenderingContext2D} g @param {LadderInput} o @param {number} tick @param {number} x @param {number} y */
function drawOrders(g, o, tick, x, y) {
  const count = o.group === 1 ? o.orders?.get(tick) : undefined;
  if (count === undefined || count <= 0) return;
  g.font = FONT_TINY;
  g.fillStyle = o.theme.dim;
  g.globalAlpha = 0.75;
  g.fillText(count > 999 ? '999' : String(count), x, y);
  g.globalAlpha = 1;
}

/** Prices with the digits they share dimmed: the eye needs the last ones. @param {CanvasRenderingContext2D} g @param {LadderInput} o @param {Edges} x */
function drawPrices(g, o, x) {
  const { rows, theme, price } = o;
  const texts = rows.map((r) => price.text(r.tick));
  const shared = commonPrefix(texts, 3);
  const longest = texts.reduce((m, t) => Math.max(m, t.length), 0);
  g.font = FONT;
  const digit = g.measureText('0').width;
  const room = Math.floor((x.ask - x.price - 14) / digit);
  const cut = longest > room ? Math.min(shared, longest - room) : 0;
  rows.forEach((row, i) => {
    const y = HEADER + i * ROW_HEIGHT + ROW_HEIGHT / 2 + 0.5;
    const text = texts[i];
    const bright = text.slice(shared);
    g.font = row.bestBid || row.bestAsk || row.last ? FONT_BOLD : FONT;
    g.textAlign = 'right';
    g.fillStyle = row.bestBid || row.bid > 0 ? theme.bid : row.bestAsk || row.ask > 0 ? theme.ask : theme.dim;
    g.fillText(bright, x.ask - 6, y);
    g.font = FONT;
    g.globalAlpha = 0.55;
    g.fillText(text.slice(cut, shared), x.ask - 6 - digit * bright.length, y);
    g.globalAlpha = 1;
    if (row.last) {
      g.strokeStyle = theme.accent;
      g.lineWidth = 1;
      g.strokeRect(x.price + 1.5, y - ROW_HEIGHT / 2, x.ask - x.price - 3, ROW_HEIGHT - 1);
      g.fillStyle = theme.accent;
      g.font = FONT_SMALL;
      g.textAlign = 'left';
      g.fillText(o.direction > 0 ? '▲' : o.direction < 0 ? '▼' : '■', x.price + 3, y);
    }
  });
}

/** @param {CanvasRenderingContext2D} g @param {LadderInput} o @param {Edges} x */
function drawTitles(g, o, x) {
  g.font = FONT_SMALL;
  g.fillStyle = o.theme.dim;
  g.textAlign = 'right';
  const y = HEADER / 2;
  g.fillText('SOLD', x.bid - 5, y);
  g.fillText('BID', x.price - 5, y);
  g.fillText('PRICE', x.ask - 6, y);
  g.fillText('ASK', x.bought - 5, y);
  g.fillText('BGHT', x.change - 5, y);
  g.fillText(`±${o.pullWindow}`, x.right - 4, y);
}

/** Sums of what is on show. @param {CanvasRenderingContext2D} g @param {LadderInput} o @param {Edges} x @param {number} y */
function drawTotals(g, o, x, y) {
  const { rows, theme } = o;
  /** @param {(r: Row) => number} pick */
  const sum = (pick) => rows.reduce((s, r) => s + (pick(r) || 0), 0);
  g.font = FONT_BOLD;
  g.textAlign = 'right';
  g.fillStyle = theme.ask;
  g.fillText(o.price.size(sum((r) => r.sold)), x.bid - 5, y);
  g.fillStyle = theme.bid;
  g.fillText(o.price.size(sum((r) => r.bid)), x.price - 5, y);
  g.fillText(o.price.size(sum((r) => r.bought)), x.change - 5, y);
  g.fillStyle = theme.ask;
  g.fillText(o.price.size(sum((r) => r.ask)), x.bought - 5, y);
  g.font = FONT_SMALL;
  g.fillStyle = theme.dim;
  g.textAlign = 'center';
  g.fillText(`Σ shown`, (x.price + x.ask) / 2, y);
}
