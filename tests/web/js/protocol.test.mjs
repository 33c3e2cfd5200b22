// @ts-check
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeBook, encodeHist, encodeTick } from './encoder.mjs';
import { NO_TICK, ProtocolError, decodeFrame, lotsOfCode } from '../../../src/depthscope/web/static/js/protocol.js';

/** @type {import('./encoder.mjs').TradeIn[]} */
const TRADES = [
  { col: 41, tick: 19_257, fraction: 0.5, size: 3, seq: 7, side: 1, inferred: true, count: 2 },
  { col: 42, tick: -5, size: 0.25, seq: 4_294_967_295, side: 2 },
  { col: 42, tick: 0, size: 1, seq: 9, side: 0, count: 65_535 },
];

test('a TICK frame reads back as written', () => {
  const frame = decodeFrame(encodeTick({
    symbol: 513, seq: 4_000_000_000, serverMs: 1.75e12 + 0.25, col: 42, base: -100, bid: -3, ask: NO_TICK, bidSize: 1.5, askSize: 0, cvd: -1e10 - 0.5,
    imbalance: -0.25, flags: 11, res: 2, ofiFirst: 40, ofi: [1.5, -2], sizes: [0, 1, 2.5], trades: TRADES,
  }));
  assert.equal(frame.kind, 'tick');
  if (frame.kind !== 'tick') return;
  const { sizes, ofi, trades, ...rest } = frame;
  assert.deepEqual(rest, {
    kind: 'tick', symbol: 513, seq: 4_000_000_000, serverMs: 1.75e12 + 0.25, col: 42, base: -100, bid: -3, ask: NO_TICK, bidSize: 1.5, askSize: 0,
    cvd: -1e10 - 0.5, imbalance: -0.25, flags: 11, res: 2, ofiFirst: 40,
  });
  assert.deepEqual([...sizes], [0, 1, 2.5]);
  assert.deepEqual([...ofi], [1.5, -2]);
  assert.deepEqual(trades, [
    { col: 41, tick: 19_257, fraction: 0.5, size: 3, seq: 7, side: 1, inferred: true, count: 2 },
    { col: 42, tick: -5, fraction: 0, size: 0.25, seq: 4_294_967_295, side: 2, inferred: false, count: 1 },
    { col: 42, tick: 0, fraction: 0, size: 1, seq: 9, side: 0, inferred: false, count: 65_535 },
  ]);
});

test('a HIST frame reads back as written, with an odd number of codes', () => {
  const column = { base: 10, bid: 11, ask: 12, cvd: 1 / 3, imbalance: 0.5, ofi: NaN, sizes: [0.003, 0, 812.5] };
  const frame = decodeFrame(encodeHist({
    first: 40, columns: [column, { ...column, base: 9, bid: NO_TICK, ofi: 4 }, column], levels: 3, unit: 0.001, logK: 3000, trades: TRADES, res: 1, last: true, gapFill: true,
  }));
  assert.equal(frame.kind, 'hist');
  if (frame.kind !== 'hist') return;
  assert.deepEqual(
    [frame.first, frame.count, frame.levels, frame.res, frame.last, frame.gapFill, frame.unit],
    [40, 3, 3, 1, true, true, Math.fround(0.001)],
  );
  assert.deepEqual([...frame.base], [10, 9, 10]);
  assert.deepEqual([...frame.bid], [11, NO_TICK, 11]);
  assert.deepEqual([...frame.ofi], [NaN, 4, NaN]);
  assert.equal(frame.cvd[2], 1 / 3);
  assert.equal(frame.trades.length, 3);
  const lots = lotsOfCode(frame.logK);
  for (const [i, size] of [0.003, 0, 812.5].entries()) {
    const read = lots[frame.q[i]] * frame.unit;
    assert.ok(Math.abs(read - size) <= size * 3.1e-4, `${read} for ${size}`);
  }
});

test('a BOOK frame reads back as written', () => {
  const frame = decodeFrame(encodeBook({ symbol: 2, seq: 5, serverMs: 0.5, col: 9, base: -4, bid: -2, ask: NO_TICK, flags: 9, sizes: [1, 0.5, 0] }));
  assert.equal(frame.kind, 'book');
  if (frame.kind !== 'book') return;
  const { sizes, ...rest } = frame;
  assert.deepEqual(rest, { kind: 'book', symbol: 2, seq: 5, serverMs: 0.5, col: 9, base: -4, bid: -2, ask: NO_TICK, flags: 9 });
  assert.deepEqual([...sizes], [1, 0.5, 0]);
});

test('an empty HIST is a HIST', () => {
  const frame = decodeFrame(encodeHist({ first: 0, columns: [], levels: 200, last: true }));
  assert.equal(frame.kind === 'hist' && frame.count, 0);
});

test('foreign versions, types and lengths are refused, with a reason', () => {
  const good = encodeTick({ col: 1, base: 0, bid: 0, ask: 1, sizes: [1, 2] });
  assert.throws(() => decodeFrame(new ArrayBuffer(8)), ProtocolError);
  assert.throws(() => decodeFrame(encodeTick({ col: 1, base: 0, bid: 0, ask: 1, sizes: [], version: 2 })), /version 2/);
  assert.throws(() => decodeFrame(good.slice(0, good.byteLength - 4)), /should have/);
  assert.throws(() => decodeFrame(good.slice(0, 40)), ProtocolError);
  new Uint8Array(good)[0] = 9;
  assert.throws(() => decodeFrame(good), /type 9/);
});

/** Field of the page for a field of the document. @type {Record<string, string>} */
const NAMES = {
  server_ms: 'serverMs', base_tick: 'base', bid_size: 'bidSize', ask_size: 'askSize', ofi_first: 'ofiFirst', size: 'sizes', nCols: 'count', nLevels: 'levels',
};

/** Python wrote NaN as null. @param {ArrayLike<number>} values */
const plain = (values) => Array.from(values, (v) => (Number.isNaN(v) ? null : v));

const golden = JSON.parse(readFileSync(new URL('../golden_frames.json', import.meta.url), 'utf8'));

for (const { name, hex, decoded } of golden) {
  test(`the Python encoder's frame: ${name}`, () => {
    const bytes = Buffer.from(hex, 'hex');
    const frame = /** @type {any} */ (decodeFrame(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)));
    const { type, version, nTrades, nOfi, trades, flags, reserved, ...fields } = decoded;
    assert.equal(frame.kind, type === 1 ? 'hist' : 'tick');
    assert.equal(version, 1);
    assert.equal(reserved ?? 0, 0);
    if (type === 1) {
      assert.deepEqual([frame.last, frame.gapFill, frame.res], [(flags & 1) === 1, (flags & 2) === 2, (flags >> 8) & 3]);
    } else {
      assert.equal(frame.flags, flags);
      assert.equal(frame.ofi.length, nOfi);
      assert.equal(frame.sizes.length, fields.nLevels);
      delete fields.nLevels;
    }
    for (const [key, want] of Object.entries(fields)) {
      const got = frame[NAMES[key] ?? key];
      assert.notEqual(got, undefined, key);
      assert.deepEqual(Array.isArray(want) ? plain(got) : plain([got])[0], want, key);
    }
    assert.deepEqual(frame.trades.length, nTrades);
    trades.forEach((/** @type {any} */ want, /** @type {number} */ i) => {
      const got = frame.trades[i];
      assert.deepEqual(
        [got.col, got.tick, got.fraction, got.size, got.seq, got.side, got.inferred, got.count],
        [want.col, want.tick, want.tick_fraction, want.size, want.trade_seq, want.side, (want.flags & 1) === 1, want.count],
      );
    });
  });
}

test('whole lots survive the coding', () => {
  const lots = lotsOfCode(3000);
  for (const n of [1, 2, 7, 99, 640, 1500]) assert.equal(lots[Math.round(Math.log1p(n) * 3000)], n);
  assert.equal(lots[0], 0);
});
