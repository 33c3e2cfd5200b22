// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHist, encodeTick } from './encoder.mjs';
import { NO_TICK, decodeFrame } from '../../../src/depthscope/web/static/js/protocol.js';
import { CAPACITY, ColumnStore } from '../../../src/depthscope/web/static/js/store.js';

const LEVELS = 8;

/** @param {Partial<Parameters<typeof encodeTick>[0]> & {col: number}} o */
function tick(o) {
  const frame = decodeFrame(encodeTick({ base: 100, bid: 103, ask: 104, sizes: [1, 2, 3, 4, 5, 6, 7, 8], ...o }));
  if (frame.kind !== 'tick') throw new Error('not a tick');
  return frame;
}

/** @param {number} first @param {number} n @param {Partial<Parameters<typeof encodeHist>[0]>} [o] */
function hist(first, n, o = {}) {
  const columns = Array.from({ length: n }, (_, i) => ({ base: 100, bid: 103, ask: 104, cvd: first + i, imbalance: 0, ofi: i, sizes: [9, 9, 9, 9, 9, 9, 9, 9] }));
  const frame = decodeFrame(encodeHist({ first, columns, levels: LEVELS, ...o }));
  if (frame.kind !== 'hist') throw new Error('not a hist');
  return frame;
}

const store = () => new ColumnStore(0, 50, LEVELS, 1);

test('cells are found by column and tick; outside the window is unknown, not zero', () => {
  const s = store();
  s.applyTick(tick({ col: 5, sizes: [0, 2, 3, 4, 5, 6, 7, 8] }));
  assert.equal(s.at(5, 101), 2);
  assert.equal(s.at(5, 100), 0);
  assert.ok(Number.isNaN(s.at(5, 99)));
  assert.ok(Number.isNaN(s.at(5, 108)));
  assert.ok(Number.isNaN(s.at(4, 101)));
  assert.equal(s.mid(5), 103.5);
});

test('the newest frame of an open column wins and its trades add up', () => {
  const s = store();
  s.applyTick(tick({ col: 5, trades: [{ col: 5, tick: 104, size: 1, side: 1 }] }));
  s.applyTick(tick({ col: 5, sizes: [8, 8, 8, 8, 8, 8, 8, 8], flags: 1, trades: [{ col: 5, tick: 104, size: 2, side: 1 }] }));
  assert.equal(s.at(5, 100), 8);
  assert.equal(s.trades.list.reduce((n, t) => n + t.size, 0), 3);
});

test('a book that is not live has no sides', () => {
  const s = store();
  s.applyTick(tick({ col: 1 }));
  s.applyTick(tick({ col: 2, flags: 4 }));
  assert.ok(s.isLive(1) && !s.isLive(2) && s.has(2));
  assert.ok(Number.isNaN(s.mid(2)));
  assert.equal(s.lastQuoted(2), 1);
});

test('order flow arrives late, for several columns', () => {
  const s = store();
  for (const col of [1, 2, 3]) s.applyTick(tick({ col }));
  assert.ok(Number.isNaN(s.ofi[s.slot(2)]));
  s.applyTick(tick({ col: 4, ofiFirst: 1, ofi: [10, 20, 30] }));
  assert.deepEqual([1, 2, 3].map((c) => s.ofi[s.slot(c)]), [10, 20, 30]);
  assert.ok(Number.isNaN(s.ofi[s.slot(4)]));
});

test('history replaces its columns and their trades, newest chunk first', () => {
  const s = store();
  s.applyTick(tick({ col: 12, trades: [{ col: 12, tick: 104, size: 5, side: 2 }] }));
  s.applyHist(hist(10, 3, { trades: [{ col: 11, tick: 103, size: 1, side: 1 }, { col: 12, tick: 103, size: 2, side: 1 }] }));
  s.applyHist(hist(7, 3, { last: true, trades: [{ col: 8, tick: 103, size: 7, side: 1 }] }));
  assert.equal(s.head, 12);
  assert.equal(s.oldest, 7);
  assert.deepEqual(s.trades.list.map((t) => [t.col, t.size]), [[8, 7], [11, 1], [12, 2]]);
  assert.ok(Math.abs(s.at(7, 100) - 9) < 0.01);
});

test('the ring forgets what is a whole ring behind, and refuses older columns', () => {
  const s = store();
  s.applyTick(tick({ col: 3, trades: [{ col: 3, tick: 104, size: 1, side: 1 }] }));
  s.applyTick(tick({ col: 3 + CAPACITY }));
  assert.ok(!s.has(3));
  assert.equal(s.oldest, 4);
  s.applyHist(hist(2, 1, { gapFill: true }));
  assert.ok(!s.has(2) && s.has(3 + CAPACITY));
});

test('late trades are put in their place', () => {
  const s = store();
  s.applyTick(tick({ col: 5, trades: [{ col: 5, tick: 1, size: 1, side: 1 }] }));
  s.applyTick(tick({ col: 6, trades: [{ col: 4, tick: 1, size: 2, side: 1 }, { col: 6, tick: 1, size: 3, side: 1 }] }));
  assert.deepEqual(s.trades.list.map((t) => t.col), [4, 5, 6]);
});

test('a coarse column is the maximum at each tick, the last state and the summed flow', () => {
  const fine = store();
  fine.applyTick(tick({ col: 10, sizes: [1, 50, 3, 4, 5, 6, 7, 8] }));
  fine.applyTick(tick({ col: 11, base: 102, bid: 105, ask: 106, cvd: 42, imbalance: 0.5, sizes: [9, 1, 1, 1, 1, 1, 1, 1], ofiFirst: 10, ofi: [3, 4] }));
  const coarse = new ColumnStore(1, 250, LEVELS, 1);
  coarse.deriveFrom(fine, 2, 5);
  const slot = coarse.slot(2);
  assert.deepEqual([coarse.base[slot], coarse.bid[slot], coarse.ask[slot], coarse.cvd[slot], coarse.imbalance[slot], coarse.ofi[slot]], [102, 105, 106, 42, 0.5, 7]);
  assert.equal(coarse.at(2, 102), 9);
  assert.equal(coarse.at(2, 103), 4);
  assert.equal(coarse.at(2, 109), 1);
  assert.ok(Number.isNaN(coarse.at(2, 101)));
});

test('clearing makes a new generation', () => {
  const s = store();
  s.applyTick(tick({ col: 1 }));
  const before = s.generation;
  s.clear();
  assert.equal(s.head, -1);
  assert.notEqual(s.generation, before);
  assert.equal(s.isLive(1), false);
  assert.equal(s.bid[1] === NO_TICK || !s.has(1), true);
});

test('a level may hold several ticks', () => {
  const s = new ColumnStore(0, 50, LEVELS, 1, 10);
  s.applyTick(tick({ col: 1, base: -20, bid: 13, ask: 21 }));
  assert.deepEqual([-21, -20, -11, -10, 0, 59, 60].map((t) => s.at(1, t)), [NaN, 1, 1, 2, 3, 8, NaN]);
  s.applyTick(tick({ col: 2, base: -10, bid: 13, ask: 21, sizes: [0, 0, 9, 0, 0, 0, 0, 0] }));
  const coarse = new ColumnStore(1, 250, LEVELS, 1, 10);
  coarse.deriveFrom(s, 0, 5);
  assert.deepEqual([-20, -10, 15, 30].map((t) => coarse.at(0, t)), [NaN, 2, 9, 6]);
});
