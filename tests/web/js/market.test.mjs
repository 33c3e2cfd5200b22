// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBook, encodeHist, encodeTick } from './encoder.mjs';
import { decodeFrame } from '../../../src/depthscope/web/static/js/protocol.js';
import { Market } from '../../../src/depthscope/web/static/js/market.js';

const LEVELS = 4;

/** @param {number} id @param {string} name @returns {import('../../../src/depthscope/web/static/js/types.js').SymbolInfo} */
const symbol = (id, name) => ({
  id, name, venue: 'x', tick: '0.5', lot: '1', decimals: 1, sizeDecimals: 0, levels: LEVELS, capabilities: ['L2'], calendar: '24/7', currency: 'USD', multiplier: '1',
});

/** @param {Partial<import('../../../src/depthscope/web/static/js/types.js').Hello>} [o] @returns {import('../../../src/depthscope/web/static/js/types.js').Hello} */
const hello = (o = {}) => ({
  t: 'hello', v: 1, epoch: 1, hz: 20, mode: 'replay', state: 'playing', origin: '0', originMs: 0, levels: LEVELS, chunk: 300, span: null, speeds: [1], source: null,
  warm: null, server: 'test', symbols: [symbol(0, 'A'), symbol(1, 'B')],
  res: [{ id: 0, ms: 50, cols: 3600 }, { id: 1, ms: 250, cols: 14_400 }, { id: 2, ms: 1000, cols: 86_400 }], ...o,
});

function setUp() {
  /** @type {any[]} */
  const sent = [];
  const market = new Market((command) => {
    sent.push(command);
    return true;
  });
  return { market, sent };
}

/** @param {number} first @param {number} n @param {object} [o] */
const hist = (first, n, o = {}) => decodeFrame(encodeHist({
  first, levels: LEVELS, columns: Array.from({ length: n }, () => ({ base: 10, bid: 11, ask: 12, cvd: 0, imbalance: 0, ofi: 1, sizes: [1, 2, 3, 4] })), ...o,
}));
/** @param {number} col @param {object} [o] */
const tick = (col, o = {}) => decodeFrame(encodeTick({ col, base: 10, bid: 11, ask: 12, sizes: [1, 2, 3, 4], ...o }));

test('hello leads to one subscription; a second hello to none', () => {
  const { market, sent } = setUp();
  market.take(hello());
  market.take(hello());
  assert.deepEqual(sent, [{ cmd: 'sub', symbol: 0, res: 0, epoch: 1, since: null, cols: 3600 }]);
});

test('nothing is asked for before there is an instrument', () => {
  const { market, sent } = setUp();
  market.take(hello({ symbols: [] }));
  market.take(hello({ originMs: null, origin: null }));
  assert.equal(sent.length, 0);
  market.wanted = 'B';
  market.take(hello());
  assert.equal(sent[0].symbol, 1);
});

test('after a reconnect the gap is asked for, with the epoch of the columns held', () => {
  const { market, sent } = setUp();
  market.take(hello());
  market.apply(hist(0, 10, { last: true, seq: 9 }));
  market.disconnected();
  market.take(hello({ epoch: 2 }));
  assert.deepEqual(sent[1], { cmd: 'sub', symbol: 0, res: 0, epoch: 1, since: 9, cols: 3600 });
  // The server does not know that epoch: a full fill, which empties the store.
  market.apply(hist(100, 2, { last: true, seq: 1 }));
  assert.equal(market.fine?.has(9), false);
  market.disconnected();
  market.take(hello({ epoch: 2 }));
  assert.equal(sent[2].epoch, 2);
});

test('chunks of one fill do not empty each other', () => {
  const { market } = setUp();
  market.take(hello());
  market.apply(tick(500));
  market.apply(hist(300, 300));
  market.apply(hist(0, 300, { last: true }));
  assert.equal(market.fine?.has(0), true);
  assert.equal(market.fine?.has(599), true);
  assert.equal(market.filling, false);
});

test('a reset empties and later gaps are counted from the new history', () => {
  const { market, sent } = setUp();
  market.take(hello());
  market.apply(hist(0, 10, { last: true }));
  market.take({ t: 'reset', epoch: 5, reason: 'seek' });
  assert.equal(market.fine?.head, -1);
  market.apply(hist(40, 2, { last: true }));
  market.disconnected();
  market.take(hello({ epoch: 5 }));
  assert.deepEqual([sent[1].since, sent[1].epoch], [41, 5]);
});

test('zooming out fetches the coarse history once, goes back with a gap-fill, then derives', () => {
  const { market, sent } = setUp();
  market.take(hello());
  market.apply(hist(0, 20, { last: true, trades: [{ col: 19, tick: 11, size: 2, side: 1 }] }));
  market.want(1);
  market.want(1);
  assert.deepEqual(sent.slice(1).map((c) => [c.res, c.since, c.cols]), [[1, null, 4000]]);
  market.apply(hist(2, 2, { res: 1 }));
  market.apply(hist(0, 2, { res: 1, last: true, trades: [{ col: 1, tick: 11, size: 7, side: 2 }] }));
  assert.equal(market.coarse?.head, 3);
  assert.deepEqual([sent[2].res, sent[2].since], [0, 19]);
  market.apply(hist(19, 2, { gapFill: true, last: true, trades: [{ col: 20, tick: 12, size: 4, side: 1 }] }));
  assert.equal(market.coarse?.head, 4);
  assert.equal(market.coarse?.at(4, 13), 4);
  assert.deepEqual(market.coarse?.trades.list.map((t) => [t.col, t.size]), [[1, 7], [4, 4]]);
  assert.equal(market.storeFor(1), market.coarse);
  market.want(0);
  assert.equal(market.storeFor(1), market.fine);
});

test('frames of another symbol are not taken', () => {
  const { market, sent } = setUp();
  market.take(hello());
  market.pick(1);
  assert.equal(sent[1].symbol, 1);
  market.apply(tick(5, { symbol: 0 }));
  assert.equal(market.fine?.head, -1);
  assert.equal(market.repairs.foreign, 1);
  market.apply(tick(5, { symbol: 1, seq: 77 }));
  assert.equal(market.fine?.head, 5);
  assert.deepEqual(market.ack(), { seq: 77, col: 5 });
});

test('a frozen view takes nothing and catches up afterwards', () => {
  const { market, sent } = setUp();
  market.take(hello());
  market.apply(hist(0, 10, { last: true }));
  market.freeze(true);
  market.apply(tick(10, { seq: 30 }));
  assert.equal(market.fine?.head, 9);
  assert.equal(market.ack()?.seq, 30);
  market.freeze(false);
  assert.equal(sent.at(-1).since, 9);
});

test('acknowledgements never run ahead of a new connection', () => {
  const { market } = setUp();
  market.take(hello());
  market.apply(tick(1, { seq: 500 }));
  market.disconnected();
  market.take(hello());
  assert.equal(market.ack(), null);
});

test('a server of another version is refused', () => {
  assert.throws(() => setUp().market.take(hello({ v: 2 })), /version 2/);
});

test('with wide levels the exact ticks come apart', () => {
  const { market } = setUp();
  market.take(hello({ symbols: [{ ...symbol(0, 'A'), row: 10 }] }));
  market.apply(tick(3, { base: 0, bid: 11, ask: 12 }));
  assert.equal(market.near?.head, -1);
  market.apply(decodeFrame(encodeBook({ col: 3, base: 10, bid: 11, ask: 12, sizes: [5, 6, 7, 8] })));
  assert.equal(market.fine?.at(3, 11), 2);
  assert.equal(market.near?.at(3, 11), 6);
  market.take({ t: 'reset', epoch: 2, reason: 'seek' });
  assert.equal(market.near?.head, -1);
});
