// @ts-check
/** Encoder of the frames of docs/STREAM.md, written from that document alone: what it writes, the page must read. */

/**
 * @typedef {{col: number, tick: number, fraction?: number, size: number, seq?: number, side: 0 | 1 | 2, inferred?: boolean, count?: number}} TradeIn
 */

/** @param {DataView} view @param {number} type @param {{symbol?: number, seq?: number, serverMs?: number, version?: number}} o */
function header(view, type, o) {
  view.setUint8(0, type);
  view.setUint8(1, o.version ?? 1);
  view.setUint16(2, o.symbol ?? 0, true);
  view.setUint32(4, o.seq ?? 1, true);
  view.setFloat64(8, o.serverMs ?? 0, true);
}

/** @param {DataView} view @param {number} at @param {TradeIn[]} trades */
function putTrades(view, at, trades) {
  for (const t of trades) {
    view.setUint32(at, t.col, true);
    view.setInt32(at + 4, t.tick, true);
    view.setFloat32(at + 8, t.fraction ?? 0, true);
    view.setFloat32(at + 12, t.size, true);
    view.setUint32(at + 16, t.seq ?? 0, true);
    view.setUint8(at + 20, t.side);
    view.setUint8(at + 21, t.inferred ? 1 : 0);
    view.setUint16(at + 22, t.count ?? 1, true);
    at += 24;
  }
}

/**
 * @param {{col: number, base: number, bid: number, ask: number, bidSize?: number, askSize?: number, cvd?: number, imbalance?: number, flags?: number,
 *   res?: number, ofiFirst?: number, ofi?: number[], sizes: ArrayLike<number>, trades?: TradeIn[],
 *   symbol?: number, seq?: number, serverMs?: number, version?: number}} o
 * @returns {ArrayBuffer}
 */
export function encodeTick(o) {
  const trades = o.trades ?? [];
  const ofi = o.ofi ?? [];
  const buffer = new ArrayBuffer(68 + 4 * o.sizes.length + 4 * ofi.length + 24 * trades.length);
  const view = new DataView(buffer);
  header(view, 2, o);
  view.setUint32(16, o.col, true);
  view.setInt32(20, o.base, true);
  view.setInt32(24, o.bid, true);
  view.setInt32(28, o.ask, true);
  view.setFloat32(32, o.bidSize ?? 0, true);
  view.setFloat32(36, o.askSize ?? 0, true);
  view.setFloat64(40, o.cvd ?? 0, true);
  view.setFloat32(48, o.imbalance ?? 0, true);
  view.setUint16(52, o.sizes.length, true);
  view.setUint16(54, trades.length, true);
  view.setUint32(56, o.flags ?? 0, true);
  view.setUint32(60, o.ofiFirst ?? 0, true);
  view.setUint16(64, ofi.length, true);
  view.setUint16(66, o.res ?? 0, true);
  let at = 68;
  for (let i = 0; i < o.sizes.length; i++, at += 4) view.setFloat32(at, o.sizes[i], true);
  for (const v of ofi) {
    view.setFloat32(at, v, true);
    at += 4;
  }
  putTrades(view, at, trades);
  return buffer;
}

/**
 * @typedef {{base: number, bid: number, ask: number, cvd: number, imbalance: number, ofi: number, sizes: ArrayLike<number>}} ColumnIn
 * @param {{first: number, columns: ColumnIn[], trades?: TradeIn[], levels: number, res?: number, last?: boolean, gapFill?: boolean, replay?: boolean,
 *   logK?: number, unit?: number, symbol?: number, seq?: number, serverMs?: number, version?: number}} o
 * @returns {ArrayBuffer}
 */
export function encodeHist(o) {
  const n = o.columns.length;
  const trades = o.trades ?? [];
  const logK = o.logK ?? 3000;
  const unit = o.unit ?? 1;
  const size = 48 + 28 * n + 24 * trades.length + 2 * n * o.levels;
  const buffer = new ArrayBuffer(Math.ceil(size / 4) * 4);
  const view = new DataView(buffer);
  header(view, 1, o);
  view.setUint32(16, o.first, true);
  view.setUint32(20, n, true);
  view.setUint32(24, o.levels, true);
  view.setUint32(28, trades.length, true);
  view.setUint32(32, (o.last ? 1 : 0) | (o.gapFill ? 2 : 0) | (o.replay ? 4 : 0) | ((o.res ?? 0) << 8), true);
  view.setFloat32(36, logK, true);
  view.setFloat32(40, unit, true);
  view.setUint32(44, 0, true);
  let at = 48;
  for (const c of o.columns) {
    view.setFloat64(at, c.cvd, true);
    at += 8;
  }
  for (const key of /** @type {const} */ (['base', 'bid', 'ask'])) {
    for (const c of o.columns) {
      view.setInt32(at, c[key], true);
      at += 4;
    }
  }
  for (const key of /** @type {const} */ (['imbalance', 'ofi'])) {
    for (const c of o.columns) {
      view.setFloat32(at, c[key], true);
      at += 4;
    }
  }
  putTrades(view, at, trades);
  at += 24 * trades.length;
  for (const c of o.columns) {
    for (let k = 0; k < o.levels; k++) {
      const lots = c.sizes[k] / unit;
      view.setUint16(at, lots > 0 ? Math.min(65535, Math.max(1, Math.round(Math.log1p(lots) * logK))) : 0, true);
      at += 2;
    }
  }
  return buffer;
}

/**
 * @param {{col: number, base: number, bid: number, ask: number, flags?: number, sizes: ArrayLike<number>, symbol?: number, seq?: number, serverMs?: number}} o
 * @returns {ArrayBuffer}
 */
export function encodeBook(o) {
  const buffer = new ArrayBuffer(36 + 4 * o.sizes.length);
  const view = new DataView(buffer);
  header(view, 3, o);
  view.setUint32(16, o.col, true);
  view.setInt32(20, o.base, true);
  view.setInt32(24, o.bid, true);
  view.setInt32(28, o.ask, true);
  view.setUint16(32, o.sizes.length, true);
  view.setUint16(34, o.flags ?? 0, true);
  for (let i = 0; i < o.sizes.length; i++) view.setFloat32(36 + 4 * i, o.sizes[i], true);
  return buffer;
}
