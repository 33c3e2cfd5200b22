// @ts-check
/** Decoder of the binary frames of docs/STREAM.md. Array views are zero-copy; only trades become objects. */

export const VERSION = 1;
export const HIST = 1;
export const TICK = 2;
export const BOOK = 3;
/** Tick of an empty side, or of a book that is not LIVE. */
export const NO_TICK = -2147483648;

export const FLAG_CLOSED = 1;
export const FLAG_REPLAY = 2;
export const FLAG_NOT_LIVE = 4;
export const FLAG_INCOMPLETE = 8;

const TRADE_BYTES = 24;
const TICK_BYTES = 68;
const HIST_BYTES = 48;
const BOOK_BYTES = 36;

/** @typedef {0 | 1 | 2} Side  0 unknown, 1 buy, 2 sell (the aggressor) */

/**
 * @typedef {object} Trade
 * @property {number} col
 * @property {number} tick
 * @property {number} fraction  price = (tick + fraction) × tick size
 * @property {number} size
 * @property {number} seq
 * @property {Side} side
 * @property {boolean} inferred
 * @property {number} count  prints merged into this one
 */

/**
 * @typedef {object} TickFrame
 * @property {'tick'} kind
 * @property {number} symbol
 * @property {number} seq
 * @property {number} serverMs
 * @property {number} col
 * @property {number} base
 * @property {number} bid
 * @property {number} ask
 * @property {number} bidSize
 * @property {number} askSize
 * @property {number} cvd
 * @property {number} imbalance
 * @property {number} flags
 * @property {number} res
 * @property {number} ofiFirst
 * @property {Float32Array} sizes
 * @property {Float32Array} ofi
 * @property {Trade[]} trades
 */

/**
 * @typedef {object} HistFrame
 * @property {'hist'} kind
 * @property {number} symbol
 * @property {number} seq
 * @property {number} serverMs
 * @property {number} first
 * @property {number} count
 * @property {number} levels
 * @property {number} res
 * @property {boolean} last
 * @property {boolean} gapFill
 * @property {number} logK
 * @property {number} unit
 * @property {Float64Array} cvd
 * @property {Int32Array} base
 * @property {Int32Array} bid
 * @property {Int32Array} ask
 * @property {Float32Array} imbalance
 * @property {Float32Array} ofi
 * @property {Trade[]} trades
 * @property {Uint16Array} q
 */

/**
 * @typedef {object} BookFrame  the exact ticks round the mid, where a level of a column is wider than a tick
 * @property {'book'} kind
 * @property {number} symbol
 * @property {number} seq
 * @property {number} serverMs
 * @property {number} col
 * @property {number} base
 * @property {number} bid
 * @property {number} ask
 * @property {number} flags
 * @property {Float32Array} sizes
 */

/** @typedef {TickFrame | HistFrame | BookFrame} Frame */

/** A frame this page cannot read: the server and the page are of different versions, or the bytes are damaged. */
export class ProtocolError extends Error {}

/**
 * @param {DataView} view
 * @param {number} offset
 * @param {number} count
 * @returns {Trade[]}
 */
function readTrades(view, offset, count) {
  /** @type {Trade[]} */
  const trades = new Array(count);
  for (let i = 0, o = offset; i < count; i++, o += TRADE_BYTES) {
    const side = view.getUint8(o + 20);
    trades[i] = {
      col: view.getUint32(o, true),
      tick: view.getInt32(o + 4, true),
      fraction: view.getFloat32(o + 8, true),
      size: view.getFloat32(o + 12, true),
      seq: view.getUint32(o + 16, true),
      side: side === 1 || side === 2 ? side : 0,
      inferred: (view.getUint8(o + 21) & 1) === 1,
      count: view.getUint16(o + 22, true),
    };
  }
  return trades;
}

/**
 * @param {ArrayBuffer} buffer
 * @param {number} expected
 * @param {string} what
 */
function checkLength(buffer, expected, what) {
  if (buffer.byteLength !== expected) {
    throw new ProtocolError(`a ${what} frame of ${buffer.byteLength} bytes should have ${expected}`);
  }
}

/**
 * Read one binary frame.
 * @param {ArrayBuffer} buffer
 * @returns {Frame}
 * @throws {ProtocolError} when version, type or length do not fit
 */
export function decodeFrame(buffer) {
  if (buffer.byteLength < 16) throw new ProtocolError(`a frame of ${buffer.byteLength} bytes has no header`);
  const view = new DataView(buffer);
  const type = view.getUint8(0);
  const version = view.getUint8(1);
  if (version !== VERSION) throw new ProtocolError(`frame version ${version}; this page reads ${VERSION}`);
  if (type === TICK) return readTick(buffer, view);
  if (type === HIST) return readHist(buffer, view);
  if (type === BOOK) return readBook(buffer, view);
  throw new ProtocolError(`frame type ${type} is not known`);
}

/**
 * @param {ArrayBuffer} buffer
 * @param {DataView} view
 * @returns {TickFrame}
 */
function readTick(buffer, view) {
  if (buffer.byteLength < TICK_BYTES) throw new ProtocolError(`a TICK frame of ${buffer.byteLength} bytes is cut`);
  const levels = view.getUint16(52, true);
  const trades = view.getUint16(54, true);
  const ofi = view.getUint16(64, true);
  const ofiAt = TICK_BYTES + 4 * levels;
  const tradesAt = ofiAt + 4 * ofi;
  checkLength(buffer, tradesAt + TRADE_BYTES * trades, 'TICK');
  return {
    kind: 'tick',
    symbol: view.getUint16(2, true),
    seq: view.getUint32(4, true),
    serverMs: view.getFloat64(8, true),
    col: view.getUint32(16, true),
    base: view.getInt32(20, true),
    bid: view.getInt32(24, true),
    ask: view.getInt32(28, true),
    bidSize: view.getFloat32(32, true),
    askSize: view.getFloat32(36, true),
    cvd: view.getFloat64(40, true),
    imbalance: view.getFloat32(48, true),
    flags: view.getUint32(56, true),
    res: view.getUint16(66, true),
    ofiFirst: view.getUint32(60, true),
    sizes: new Float32Array(buffer, TICK_BYTES, levels),
    ofi: new Float32Array(buffer, ofiAt, ofi),
    trades: readTrades(view, tradesAt, trades),
  };
}

/**
 * @param {ArrayBuffer} buffer
 * @param {DataView} view
 * @returns {HistFrame}
 */
function readHist(buffer, view) {
  if (buffer.byteLength < HIST_BYTES) throw new ProtocolError(`a HIST frame of ${buffer.byteLength} bytes is cut`);
  const count = view.getUint32(20, true);
  const levels = view.getUint32(24, true);
  const tradeCount = view.getUint32(28, true);
  const flags = view.getUint32(32, true);
  const tradesAt = HIST_BYTES + 28 * count;
  const qAt = tradesAt + TRADE_BYTES * tradeCount;
  checkLength(buffer, (qAt + 2 * count * levels + 3) & ~3, 'HIST');
  let at = HIST_BYTES;
  const cvd = new Float64Array(buffer, at, count);
  const base = new Int32Array(buffer, (at += 8 * count), count);
  const bid = new Int32Array(buffer, (at += 4 * count), count);
  const ask = new Int32Array(buffer, (at += 4 * count), count);
  const imbalance = new Float32Array(buffer, (at += 4 * count), count);
  const ofi = new Float32Array(buffer, at + 4 * count, count);
  return {
    kind: 'hist',
    symbol: view.getUint16(2, true),
    seq: view.getUint32(4, true),
    serverMs: view.getFloat64(8, true),
    first: view.getUint32(16, true),
    count,
    levels,
    res: (flags >> 8) & 3,
    last: (flags & 1) !== 0,
    gapFill: (flags & 2) !== 0,
    logK: view.getFloat32(36, true),
    unit: view.getFloat32(40, true),
    cvd,
    base,
    bid,
    ask,
    imbalance,
    ofi,
    trades: readTrades(view, tradesAt, tradeCount),
    q: new Uint16Array(buffer, qAt, count * levels),
  };
}

/**
 * @param {ArrayBuffer} buffer
 * @param {DataView} view
 * @returns {BookFrame}
 */
function readBook(buffer, view) {
  if (buffer.byteLength < BOOK_BYTES) throw new ProtocolError(`a BOOK frame of ${buffer.byteLength} bytes is cut`);
  const levels = view.getUint16(32, true);
  checkLength(buffer, BOOK_BYTES + 4 * levels, 'BOOK');
  return {
    kind: 'book',
    symbol: view.getUint16(2, true),
    seq: view.getUint32(4, true),
    serverMs: view.getFloat64(8, true),
    col: view.getUint32(16, true),
    base: view.getInt32(20, true),
    bid: view.getInt32(24, true),
    ask: view.getInt32(28, true),
    flags: view.getUint16(34, true),
    sizes: new Float32Array(buffer, BOOK_BYTES, levels),
  };
}

/** @type {{logK: number, lots: Float32Array} | null} */
let lotsTable = null;

/**
 * Size in lots of every code, rounded: lots are whole, so sizes up to some 1,600 lots come back exactly.
 * @param {number} logK
 * @returns {Float32Array}
 */
export function lotsOfCode(logK) {
  if (lotsTable === null || lotsTable.logK !== logK) {
    const lots = new Float32Array(65536);
    for (let q = 1; q < lots.length; q++) lots[q] = Math.max(1, Math.round(Math.expm1(q / logK)));
    lotsTable = { logK, lots };
  }
  return lotsTable.lots;
}
