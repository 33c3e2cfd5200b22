// @ts-check
/** Formats, views, tones, clusters, ladder, impact, depth: the arithmetic behind the picture. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeTick } from './encoder.mjs';
import { NO_TICK, decodeFrame } from '../../../src/depthscope/web/static/js/protocol.js';
import { ColumnStore } from '../../../src/depthscope/web/static/js/store.js';
import { InstrumentFormat, commonPrefix, formatExact, formatSigned, formatSize, niceCeil, niceFloor } from '../../../src/depthscope/web/static/js/format.js';
import { priceStep } from '../../../src/depthscope/web/static/js/geometry.js';
import { binFactor } from '../../../src/depthscope/web/static/js/heatmap.js';
import { suggestSize, walkBook } from '../../../src/depthscope/web/static/js/impact.js';
import { LadderPosition, PulledStacked, ladderRows } from '../../../src/depthscope/web/static/js/ladder_model.js';
import { comparedDepth, cumulativeDepth } from '../../../src/depthscope/web/static/js/depth.js';
import { RestingMean } from '../../../src/depthscope/web/static/js/columns.js';
import { isReadable } from '../../../src/depthscope/web/static/js/overlay.js';
import { STRIPS, traceStrip } from '../../../src/depthscope/web/static/js/strips.js';
import { RAMPS, buildLut } from '../../../src/depthscope/web/static/js/palette.js';
import { parseSettings, DEFAULTS } from '../../../src/depthscope/web/static/js/settings.js';
import { bookIssues, bookVerdict, describeStatus, missingCapabilities } from '../../../src/depthscope/web/static/js/status.js';
import { newestPrints } from '../../../src/depthscope/web/static/js/tape.js';
import { MarketClock, formatSpan, timeStep, utcTime } from '../../../src/depthscope/web/static/js/time.js';
import { SizeHistogram, automaticTone, exactTone, toneSize, upperPercentile } from '../../../src/depthscope/web/static/js/tone.js';
import { TradeLog, VolumeProfile, clusterTrades } from '../../../src/depthscope/web/static/js/trades.js';
import { View, chooseResolution } from '../../../src/depthscope/web/static/js/view.js';
import { reconnectDelay } from '../../../src/depthscope/web/static/js/feed.js';

const RES = [{ id: 0, ms: 50, cols: 3600 }, { id: 1, ms: 250, cols: 14_400 }, { id: 2, ms: 1000, cols: 86_400 }];

/** @param {number} col @param {number[]} sizes @param {object} [o] */
const tick = (col, sizes, o = {}) => {
  const frame = decodeFrame(encodeTick({ col, base: 100, bid: 103, ask: 105, sizes, ...o }));
  if (frame.kind !== 'tick') throw new Error('not a tick');
  return frame;
};
/** @param {number} col @param {number} tickAt @param {number} size @param {0 | 1 | 2} side @param {number} [fraction] */
const trade = (col, tickAt, size, side, fraction = 0) => ({ col, tick: tickAt, fraction, size, seq: 0, side, inferred: false, count: 1 });
/** bids 10 20 30 40 at 100…103, nothing at 104, asks 5 6 7 at 105…107 */
const BOOK = [10, 20, 30, 40, 0, 5, 6, 7];
const book = () => {
  const store = new ColumnStore(0, 50, 8, 1);
  store.applyTick(tick(1, BOOK));
  return store;
};

test('sizes', () => {
  assert.deepEqual([0.003, 0.5, 4, 45.12, 812.4, 9999, 12_400, 256_000, 3_100_000, NaN].map((v) => formatSize(v)),
    ['0.003', '0.50', '4.00', '45.1', '812', '9999', '12.4k', '256k', '3.10M', '–']);
  assert.equal(formatSize(4, 0), '4');
  assert.equal(formatExact(1234567.5, 1), '1\u2009234\u2009567.5');
  assert.equal(formatExact(-12, 0), '−12');
  assert.deepEqual([2, -2, 0].map((v) => formatSigned(v, (x) => x.toFixed(1))), ['+2.0', '−2.0', '0.0']);
});

test('prices are digits of the tick, halves get one more', () => {
  /** @param {string} step @param {number} decimals */
  const price = (step, decimals) => new InstrumentFormat(/** @type {any} */ ({ tick: step, decimals }));
  assert.equal(price('0.1', 1).text(639_999), '63999.9');
  assert.equal(price('0.25', 2).text(19_257), '4814.25');
  assert.equal(price('0.25', 2).half(19_257.5), '4814.375');
  assert.equal(price('0.01', 2).text(1234 + Math.fround(0.5)), '12.345');
  assert.equal(price('0.01', 2).text(1234 + Math.fround(0.37)), '12.3437');
  assert.equal(price('0.015625', 6).text(7001), '109.390625');
  assert.equal(price('1', 0).text(-3), '-3');
});

test('shared leading digits and round numbers', () => {
  assert.equal(commonPrefix(['63998.1', '63999.4'], 3), 4);
  assert.equal(commonPrefix(['99.1', '100.2'], 3), 0);
  assert.deepEqual([0.013, 1, 1.2, 3, 7, 51].map(niceCeil), [0.02, 1, 2, 5, 10, 100]);
});

test('price labels stand on round prices', () => {
  assert.equal(priceStep(60, 15, 0.25), 4);
  assert.equal(priceStep(100, 14, 0.1), 10);
  assert.equal(priceStep(100, 14, 0.01), 10);
  assert.equal(priceStep(10, 14, 0.01), 1);
  assert.equal(priceStep(100, 10, 0.015625), 16);
});

test('time', () => {
  assert.equal(utcTime(Date.UTC(2024, 7, 8, 14, 3, 5, 678)), '14:03:05');
  assert.equal(utcTime(Date.UTC(2024, 7, 8, 14, 3, 5, 678), 2), '14:03:05.67');
  const clock = new MarketClock();
  clock.choose('exchange', 'CME_Equity');
  assert.equal(clock.time(Date.UTC(2023, 11, 25, 23, 0)), '17:00:00');
  assert.equal(clock.time(Date.UTC(2024, 6, 1, 23, 0)), '18:00:00');
  assert.equal(clock.label, 'CT');
  clock.choose('utc', 'CME_Equity');
  assert.equal(clock.time(Date.UTC(2023, 11, 25, 23, 0)), '23:00:00');
  clock.choose('exchange', 'NYSE');
  assert.equal(clock.minute(Date.UTC(2024, 2, 11, 13, 30)), '09:30');
  assert.deepEqual([350, 42_000, 320_000, 11_520_000].map(formatSpan), ['0.35 s', '42 s', '5 m 20 s', '3 h 12 m']);
  assert.equal(timeStep(60_000, 7), 10_000);
});

test('the view follows the mid with a dead band', () => {
  const view = new View();
  view.rows = 100;
  view.follow(1000);
  assert.equal(view.center, 1000.5);
  view.follow(1010);
  assert.equal(view.center, 1000.5);
  assert.equal(view.follow(1030), true);
  let steps = 0;
  while (view.follow(1030) && steps < 200) steps++;
  assert.ok(Math.abs(view.center - 1030.5) < 3.1, `${view.center}`);
  view.follow(1200);
  assert.equal(view.center, 1200.5, 'a jump out of sight is followed at once');
  view.pan(0, 5, 0, 0);
  view.follow(1300);
  assert.equal(view.center, 1205.5, 'a price moved by hand stays');
});

test('panning stops at the oldest column and ends at the newest', () => {
  const view = new View();
  view.span = 10_000;
  view.pan(3_000, 0, 100_000, 0);
  assert.equal(view.following, false);
  const { to } = view.times(100_000);
  assert.equal(view.times(200_000).to, to, 'a panned view stands still');
  view.pan(1e9, 0, 100_000, 60_000);
  assert.equal(view.times(100_000).to, 62_000);
  view.pan(-1e9, 0, 100_000, 60_000);
  assert.equal(view.following, true);
});

test('zooming in time keeps the point under the pointer', () => {
  const view = new View();
  view.edge = 50_000;
  view.span = 10_000;
  const before = view.times(0).from + 0.3 * view.span;
  view.zoomTime(2, 0.3, 0);
  assert.ok(Math.abs(view.times(0).from + 0.3 * view.span - before) < 1e-6);
});

test('the finest resolution that holds the span', () => {
  assert.deepEqual([60_000, 170_000, 172_000, 900_000, 3_000_000, 9_000_000].map((s) => chooseResolution(s, 0, RES)), [0, 0, 1, 1, 2, 2]);
  assert.equal(chooseResolution(160_000, 1, RES), 1, 'going back waits until it fits with room');
  assert.equal(chooseResolution(140_000, 1, RES), 0);
});

test('a bin is at least a pixel', () => {
  assert.deepEqual([binFactor(500, 740), binFactor(741, 740), binFactor(4000, 740)], [1, 2, 8]);
});

test('colour cut-offs by percentile keep still for small changes', () => {
  const store = book();
  const histogram = new SizeHistogram();
  histogram.update(store, 0, 2, 0, 1000);
  assert.equal(histogram.total, 7);
  const tone = automaticTone({ low: 0, high: 1 }, histogram, 50);
  assert.ok(tone.low < Math.log1p(10) && tone.low > 0, 'what is usual is dim');
  assert.ok(Math.abs(tone.high - Math.log1p(40)) < 0.03);
  assert.equal(automaticTone(tone, histogram, 52), tone);
  assert.ok(upperPercentile(0) > upperPercentile(50) && upperPercentile(50) > upperPercentile(100));
  const exact = exactTone(5, 500, 0.1);
  assert.ok(Math.abs(toneSize(exact, 0, 0.1) - 5) < 1e-9 && Math.abs(toneSize(exact, 1, 0.1) - 500) < 1e-6);
});

test('colour cut-offs know only what is on show', () => {
  const store = book();
  const histogram = new SizeHistogram();
  histogram.update(store, 0, 2, 100.5, 103);
  assert.equal(histogram.total, 3, 'the level cut by the edge counts');
  assert.ok(Math.abs(histogram.quantile(1) - Math.log1p(30)) < 0.03, 'the 40 above is out of sight');
  histogram.update(store, 2, 9, 0, 1000);
  assert.equal(histogram.total, 0);
  histogram.update(store, 0, 2, 300, 400);
  assert.equal(histogram.total, 0);
});

test('ramps start with nothing: black on dark, white on light', () => {
  for (const name of /** @type {(keyof typeof RAMPS)[]} */ (Object.keys(RAMPS))) {
    const dark = buildLut(name, 'dark');
    const light = buildLut(name, 'light');
    const level = (/** @type {Uint8ClampedArray} */ l, /** @type {number} */ i) => l[i * 4] + l[i * 4 + 1] + l[i * 4 + 2];
    assert.ok(level(dark, 0) < 80 && level(dark, 255) > 350, name);
    assert.ok(level(light, 0) === 765 && level(light, 255) < 80, name);
  }
});

test('clusters add volume per side, price and bin of time', () => {
  const log = new TradeLog();
  log.add([trade(10, 5, 1, 1), trade(10, 5, 2, 2), trade(11, 5, 3, 1), trade(12, 5, 4, 1), trade(12, 6, 1, 1), trade(30, 5, 1, 1)]);
  const clusters = clusterTrades(log, 0, 20, 0, 10, 2, 1);
  assert.deepEqual(clusters.map((c) => [c.side, c.size]), [[1, 4], [2, 2], [1, 4], [1, 1]]);
  assert.ok(Math.abs(clusters[0].x - 11.25) < 1e-12, 'the centre is weighted by size');
});

test('volume at price', () => {
  const log = new TradeLog();
  log.add([trade(1, 5, 1, 1), trade(2, 5, 2, 2), trade(2, 6, 4, 0), trade(9, 5, 8, 1)]);
  const profile = new VolumeProfile(16);
  profile.update(log, 1, 9, 0, 16);
  assert.deepEqual([profile.buy[5], profile.sell[5], profile.unknown[6], profile.volume, profile.trades], [1, 2, 4, 7, 3]);
});

test('walking the book', () => {
  const store = book();
  const buy = walkBook(store, 1, 1, 8);
  assert.deepEqual([buy?.filled, buy?.levels, buy?.worst, buy?.visible], [8, 2, 106, 18]);
  assert.ok(Math.abs((buy?.average ?? 0) - (5 * 105 + 3 * 106) / 8) < 1e-9);
  assert.ok(Math.abs((buy?.slipTicks ?? 0) - ((5 * 105 + 3 * 106) / 8 - 104)) < 1e-9);
  const sell = walkBook(store, 1, -1, 1000);
  assert.deepEqual([sell?.filled, sell?.worst, sell?.levels], [100, 100, 4], 'no more than is shown');
  assert.equal(walkBook(store, 7, 1, 1), null);
});

test('cumulative depth runs outward from the best price', () => {
  const store = book();
  assert.deepEqual([...cumulativeDepth(store, 1, -1)], [40, 70, 90, 100]);
  assert.deepEqual([...cumulativeDepth(store, 1, 1)], [5, 11, 18]);
  store.applyTick(tick(2, BOOK, { bid: NO_TICK, ask: NO_TICK }));
  assert.equal(cumulativeDepth(store, 2, 1).length, 0);
});

test('depth compares the sides over the same distance', () => {
  const { bids, asks, reach } = comparedDepth(book(), 1);
  assert.deepEqual([[...bids], [...asks], reach], [[40, 70, 90], [5, 11, 18], 3], 'the fourth bid has no counterpart');
  const store = book();
  store.applyTick(tick(2, BOOK, { ask: NO_TICK }));
  const alone = comparedDepth(store, 2);
  assert.deepEqual([alone.bids.length, alone.asks.length, alone.reach], [4, 0, 4]);
});

test('the suggested size is round and can be filled from what is shown', () => {
  const store = book();
  assert.equal(suggestSize(store, 1, 1), 5, 'half of the 18 asks on show, rounded down');
  store.applyTick(tick(2, [900, 900, 900, 4, 0, 4, 900, 900]));
  assert.equal(suggestSize(store, 2, 1), 50, 'ten times the best, rounded up');
  store.applyTick(tick(3, BOOK, { ask: NO_TICK }));
  assert.equal(suggestSize(store, 3, 1), 0);
  assert.deepEqual([0.0034, 1, 7, 19.99, 20, 99, 0].map(niceFloor).map((v) => Number(v.toPrecision(6))), [0.002, 1, 5, 10, 20, 50, 1]);
});

test('a price label keeps clear of the edges and of the tag of the last price', () => {
  assert.deepEqual([3, 50, 197].map((y) => isReadable(y, 200, NaN)), [false, true, false]);
  assert.deepEqual([80, 88, 100, 112, 120].map((y) => isReadable(y, 200, 100)), [true, false, false, false, true]);
});

test('mean resting size leaves out what was not recorded', () => {
  const store = book();
  store.applyTick(tick(2, [2, 2, 2, 2, 2, 2, 2, 2], { base: 101 }));
  store.applyTick(tick(3, BOOK, { flags: 4 }));
  const mean = new RestingMean();
  mean.update(store, 0, 4, 90, 30);
  assert.equal(mean.at(100), 10, 'seen once');
  assert.equal(mean.at(103), 21, 'mean of 40 and 2');
  assert.ok(Number.isNaN(mean.at(95)));
  assert.equal(mean.columns, 2);
});

test('pulled and stacked are net of trades, and silent where the side has changed', () => {
  const store = new ColumnStore(0, 50, 8, 1);
  store.applyTick(tick(1, BOOK));
  store.applyTick(tick(2, [10, 25, 30, 10, 0, 5, 6, 1], { trades: [trade(2, 103, 30, 2), trade(2, 107, 2, 1)] }));
  const pulled = new PulledStacked();
  pulled.update(store, store.trades, 2, 1000);
  assert.equal(pulled.span, 50);
  assert.deepEqual([100, 101, 103, 107].map((t) => pulled.at(t)), [0, 5, 0, -4]);
  assert.ok(Number.isNaN(pulled.at(104)));
  store.applyTick(tick(3, BOOK, { bid: 101, ask: 103 }));
  pulled.update(store, store.trades, 3, 1000);
  assert.ok(Number.isNaN(pulled.at(103)), 'a bid then, an ask now');
});

test('ladder rows add up ticks and keep the sides apart', () => {
  const store = book();
  const profile = new VolumeProfile(64);
  store.trades.add([trade(1, 103, 3, 2), trade(1, 105, 4, 1)]);
  profile.update(store.trades, 0, 2, 80, 64);
  const rows = ladderRows(store, 1, 53, 5, 2, profile, new PulledStacked(), 105);
  assert.deepEqual(rows.map((r) => r.tick), [106, 104, 102, 100, 98]);
  assert.deepEqual(rows.map((r) => r.ask || 0), [13, 5, 0, 0, 0]);
  assert.deepEqual(rows.map((r) => r.bid || 0), [0, 0, 70, 30, 0]);
  assert.deepEqual(rows.map((r) => [r.sold, r.bought]), [[0, 0], [0, 4], [3, 0], [0, 0], [0, 0]]);
  assert.ok(rows[1].bestAsk && rows[2].bestBid && rows[1].last && !rows[2].last);
  assert.ok(Number.isNaN(rows[4].bid), 'outside the window is not empty but unknown');
});

test('the ladder never recentres under the cursor', () => {
  const at = new LadderPosition();
  at.follow(100, 40, false);
  at.hovered = true;
  at.follow(150, 40, false);
  assert.equal(at.centre, 100);
  at.hovered = false;
  at.follow(105, 40, false);
  assert.equal(at.centre, 100, 'dead band');
  at.follow(150, 40, false);
  assert.equal(at.centre, 150);
  at.scroll(3);
  at.follow(100, 40, false);
  assert.equal(at.centre, 153);
  at.recentre();
  at.follow(100, 40, false);
  assert.equal(at.centre, 100);
});

test('the tape merges prints of one moment, price and side, then filters', () => {
  const prints = newestPrints([trade(1, 5, 1, 1), trade(1, 5, 2, 1), trade(1, 5, 9, 2), trade(2, 5, 4, 1)], 3, 10);
  assert.deepEqual(prints.map((t) => [t.col, t.size, t.count]), [[2, 4, 1], [1, 9, 1], [1, 3, 2]]);
});

test('settings: damaged ones fall back one by one', () => {
  assert.deepEqual(parseSettings('not json'), DEFAULTS);
  assert.deepEqual(parseSettings('[1]'), DEFAULTS);
  const read = parseSettings(JSON.stringify({ theme: 'light', palette: 'toString', contrast: 900, group: 5, foreign: 1 }));
  assert.deepEqual(read, { ...DEFAULTS, theme: 'light', group: 5 });
});

test('the badge', () => {
  const hello = /** @type {any} */ ({ state: 'playing', symbols: [{}], warm: null });
  const info = /** @type {any} */ ({ state: 'LIVE', incomplete: false, stateReason: null });
  const base = { feed: /** @type {const} */ ('open'), reason: '', retrySeconds: 0, hello, session: null, info, filling: false, empty: false, symbol: null };
  assert.equal(describeStatus(base).kind, 'live');
  assert.equal(describeStatus({ ...base, crossed: true }).text, 'BOOK CROSSED');
  assert.equal(describeStatus({ ...base, info: { ...info, state: 'STALE', stateReason: 'gap' } }).detail, 'gap');
  assert.match(describeStatus({ ...base, info: { ...info, incomplete: true } }).text, /incomplete/);
  assert.deepEqual(describeStatus({ ...base, feed: 'waiting', reason: 'no server answers', retrySeconds: 2.2 }),
    { kind: 'offline', text: 'DISCONNECTED', detail: 'no server answers; trying again in 3 s' });
  assert.equal(describeStatus({ ...base, feed: 'connecting', hello: null }).kind, 'connecting');
  assert.equal(describeStatus({ ...base, feed: 'connecting', reason: 'the connection broke' }).kind, 'offline');
  assert.equal(describeStatus({ ...base, session: /** @type {any} */ ({ state: 'ended' }) }).text, 'HISTORY ONLY');
  assert.equal(describeStatus({ ...base, session: /** @type {any} */ ({ state: 'failed', error: 'disk' }) }).detail, 'disk');
  assert.match(describeStatus({ ...base, session: /** @type {any} */ ({ state: 'warming', warm: { stage: 'book', done: 2, of: 9 } }) }).detail, /book \(2 of 9\)/);
  assert.equal(describeStatus({ ...base, empty: true, filling: true }).text, 'LOADING');
});

test('damage at the end of a recording is not called its end', () => {
  const hello = /** @type {any} */ ({ state: 'playing', symbols: [{}], warm: null });
  const session = /** @type {any} */ ({ state: 'ended', error: 'day.gz is damaged' });
  const status = describeStatus({ feed: 'open', reason: '', retrySeconds: 0, hello, session, info: null, filling: false, empty: false, symbol: null });
  assert.deepEqual(status, { kind: 'stale', text: 'ENDED EARLY', detail: 'day.gz is damaged' });
});

test('data without quotes waits for no book and vouches for none', () => {
  const hello = /** @type {any} */ ({ state: 'playing', symbols: [{}], warm: null });
  const info = /** @type {any} */ ({ state: 'SYNCING', incomplete: false, stateReason: 'waiting', counters: {} });
  const base = { feed: /** @type {const} */ ('open'), reason: '', retrySeconds: 0, hello, session: null, info, filling: false, empty: false };
  /** @param {string[]} capabilities */
  const of = (...capabilities) => /** @type {any} */ ({ capabilities });
  assert.equal(describeStatus({ ...base, symbol: of('TRADES', 'AGGRESSOR') }).text, 'TRADES ONLY');
  assert.equal(describeStatus({ ...base, symbol: of('TRADES', 'L1') }).detail, 'waiting');
  assert.deepEqual(missingCapabilities(of('TRADES', 'AGGRESSOR')), ['trades only: no quotes, no depth']);
  assert.deepEqual(missingCapabilities(of('TRADES', 'AGGRESSOR', 'L1')), ['no depth: only the best bid and ask']);
  const live = { ...info, state: 'LIVE' };
  assert.deepEqual([null, info, live, { ...live, incomplete: true }, { ...live, incomplete: true, counters: { gaps: 2 } }].map(bookVerdict),
    ['–', '–', '✓ exact', '⚠ incomplete', '⚠ 2']);
});

test('book issues leave plain tallies out', () => {
  assert.deepEqual(bookIssues({ events: 9, trades: 2, unknown_cancels: 3, crossed: 0 }), { total: 3, lines: [['unknown_cancels', 3]] });
});

test('reconnects back off with jitter to ten seconds', () => {
  assert.deepEqual([0, 1, 2, 10, 99].map((n) => reconnectDelay(n, 0.5)), [250, 500, 1000, 10_000, 10_000]);
  assert.ok(reconnectDelay(0, 0) === 187.5 && reconnectDelay(0, 1) === 312.5 && reconnectDelay(20, 1) === 10_000);
});

test('rows follow the range and the span the history, until the user zooms', () => {
  const view = new View();
  view.fit(1000, 1010, 200, 1);
  assert.equal(view.rows, 54);
  view.fit(1000, 1060, 200, 1);
  for (let i = 0; i < 60; i++) view.settle(20_000);
  assert.ok(Math.abs(view.rows - 61 * 2.2) < 1e-9, `${view.rows}`);
  assert.equal(view.span, 21_200);
  view.settle(1e6);
  assert.equal(view.span, 60_000);
  view.zoomPrice(2, 0.5);
  view.zoomTime(0.5, 1, 0);
  const { rows, span } = view;
  view.settle(1e6);
  assert.deepEqual([view.rows, view.span], [rows, span]);
  view.fit(0, 10_000, 200, 10);
  assert.equal(view.maxRows, 20_000);
});

test('strips are not drawn across what is not known', () => {
  const store = book(); // column 1
  for (const col of [2, 3, 6, 7, 8]) store.applyTick(tick(col, BOOK, col === 7 ? { bid: NO_TICK, ask: NO_TICK } : {}));
  const plot = /** @type {any} */ ({ rect: { c0: 0, c1: 10, p0: 0, p1: 1 }, width: 100, height: 10 });
  const o = /** @type {any} */ ({ store, plot });
  for (const strip of STRIPS.filter((s) => s.kind !== 'bars')) {
    const { last, gap } = traceStrip(strip, o);
    const shown = [...last.keys()].filter((x) => !Number.isNaN(last[x]));
    const known = strip.id === 'imbalance' ? [15, 25, 35, 65, 75, 85] : [15, 25, 35, 65, 85];
    assert.deepEqual(shown, known, strip.id);
    // Columns 4 and 5 are not there; 7 has no quotes.
    assert.deepEqual(shown.filter((x) => gap[x] && x > 15), strip.id === 'imbalance' ? [65] : [65, 85], strip.id);
  }
  // Where several columns share a pixel, what is known of one stands for it.
  const { gap } = traceStrip(STRIPS[0], /** @type {any} */ ({ store, plot: { ...plot, width: 5 } }));
  assert.deepEqual([...gap], [0, 0, 0, 1, 0]);
});
