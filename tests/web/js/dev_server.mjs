// @ts-check
/**
 * A stand-in server for work on the page: `node tests/web/js/dev_server.mjs [port]`, then open http://127.0.0.1:8099.
 * Speaks docs/STREAM.md through the independent encoder. /control?stale=1, ?state=ended, ?kill=1 put it into odd states.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DevMarket } from './dev_market.mjs';
import { encodeHist, encodeTick } from './encoder.mjs';

const STATIC = fileURLToPath(new URL('../../../src/depthscope/web/static/', import.meta.url));
const TYPES = /** @type {Record<string, string>} */ ({ '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' });
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:";
const RES = [{ id: 0, ms: 50, cols: 3600 }, { id: 1, ms: 250, cols: 14400 }, { id: 2, ms: 1000, cols: 86400 }];
const ORIGIN = Date.UTC(2024, 7, 8, 14, 30);

/** @param {number} id @param {string} name @param {string} tick @param {number} price @param {number} lot @param {number} decimals */
const make = (id, name, tick, price, lot, decimals) =>
  new DevMarket({ id, name, tick, mid: price / Number(tick), lot, levels: 200, decimals, seed: id + 3 });
const markets = [make(0, 'BTCUSDT', '0.1', 63999.8, 0.001, 1), make(1, 'ETHUSDT', '0.01', 2650.4, 0.001, 2), make(2, 'ESH4', '0.25', 4814.25, 1, 2)];
for (const m of markets) for (let i = 0; i < 12_000; i++) m.step();

const state = { mode: process.env.DEV_MODE ?? 'demo', session: 'playing', speed: 1, epoch: 1, seq: 0, stale: false };
/** @type {Set<Client>} */
const clients = new Set();

function hello() {
  return {
    t: 'hello', v: 1, epoch: state.epoch, hz: 20, mode: state.mode, state: state.session, origin: `${ORIGIN}000000`, originMs: ORIGIN,
    res: RES, levels: 200, chunk: 300, warm: null, server: 'dev', speeds: [0.5, 1, 2, 5, 10, 20, 50, 100, 'max'],
    span: { startMs: ORIGIN, endMs: ORIGIN + 1_200_000 }, source: { name: 'dev', format: 'synthetic', schema: 'l2', dataset: 'dev' },
    symbols: markets.map((m) => ({
      id: m.o.id, name: m.o.name, venue: 'dev', tick: m.o.tick, lot: String(m.o.lot), decimals: m.o.decimals, sizeDecimals: m.o.lot < 1 ? 3 : 0,
      levels: 200, capabilities: ['TRADES', 'L1', 'L2', 'MBO', 'AGGRESSOR'], calendar: m.o.name === 'ESH4' ? 'CME_Equity' : '24/7', currency: 'USD', multiplier: '1',
    })),
  };
}

function session() {
  const tsMs = ORIGIN + (markets[0].head + 1) * 50;
  return {
    t: 'session', epoch: state.epoch, mode: state.mode, state: state.session, tsMs, speed: state.speed, effectiveSpeed: state.session === 'paused' ? 0 : state.speed,
    startMs: ORIGIN, endMs: ORIGIN + 1_200_000, lagMs: state.mode === 'live' ? 42 : null, eventsPerSec: 1840, events: markets[0].head * 90, progress: 0.5, seekTo: null,
    error: null, warm: null, clients: clients.size,
  };
}

class Client {
  /** @param {import('node:net').Socket} socket */
  constructor(socket) {
    this.socket = socket;
    this.symbol = -1;
    this.res = 0;
    this.pending = Buffer.alloc(0);
  }

  /** @param {string | ArrayBuffer} data */
  send(data) {
    const body = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data);
    const head = body.length < 126 ? Buffer.alloc(2) : body.length < 65536 ? Buffer.alloc(4) : Buffer.alloc(10);
    head[0] = 0x80 | (typeof data === 'string' ? 1 : 2);
    if (body.length < 126) head[1] = body.length;
    else if (body.length < 65536) {
      head[1] = 126;
      head.writeUInt16BE(body.length, 2);
    } else {
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(body.length), 2);
    }
    this.socket.write(Buffer.concat([head, body]));
  }

  /** @param {object} message */
  json(message) {
    this.send(JSON.stringify(message));
  }

  /** @param {Buffer} data */
  take(data) {
    this.pending = Buffer.concat([this.pending, data]);
    while (this.pending.length >= 6) {
      const long = (this.pending[1] & 127) === 126;
      const length = long ? this.pending.readUInt16BE(2) : this.pending[1] & 127;
      const at = long ? 4 : 2;
      if (this.pending.length < at + 4 + length) return;
      const mask = this.pending.subarray(at, at + 4);
      const body = Buffer.from(this.pending.subarray(at + 4, at + 4 + length)).map((b, i) => b ^ mask[i % 4]);
      const opcode = this.pending[0] & 15;
      this.pending = this.pending.subarray(at + 4 + length);
      if (opcode === 8) this.socket.end();
      else if (opcode === 1) this.command(JSON.parse(Buffer.from(body).toString()));
    }
  }

  /** @param {any} c */
  command(c) {
    if (c.cmd === 'sub') {
      this.symbol = c.symbol;
      this.res = c.res;
      this.fill(c.since !== null && c.epoch === state.epoch ? c.since : null, c.cols);
    } else if (c.cmd === 'pause') state.session = 'paused';
    else if (c.cmd === 'resume') state.session = 'playing';
    else if (c.cmd === 'speed') state.speed = c.x === 'max' ? 100 : c.x;
    else if (c.cmd === 'seek') {
      state.epoch++;
      for (const other of clients) {
        other.json({ t: 'reset', epoch: state.epoch, reason: 'seek' });
        other.fill(null, 3600);
      }
    }
    if (c.cmd !== 'ack') for (const other of clients) other.json(session());
  }

  /** @param {number | null} since @param {number} cols */
  fill(since, cols) {
    const market = markets[this.symbol];
    const ratio = RES[this.res].ms / 50;
    const head = Math.floor(market.head / ratio);
    const low = since ?? Math.max(0, head - cols + 1);
    for (let end = head; end >= low; end -= 300) {
      const from = Math.max(low, end - 299);
      const part = market.range(ratio, from, end);
      this.send(encodeHist({
        first: part.first, columns: part.columns, trades: part.trades, levels: 200, res: this.res, last: from === low,
        gapFill: since !== null, unit: market.o.lot, symbol: this.symbol, seq: state.seq, replay: true,
      }));
    }
  }
}

const server = createServer((request, response) => void serve(request, response));

/** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
async function serve(request, response) {
  const url = new URL(request.url ?? '/', 'http://x');
  if (url.pathname === '/control') {
    if (url.searchParams.has('stale')) for (const m of markets) m.stale = state.stale = url.searchParams.get('stale') === '1';
    if (url.searchParams.has('state')) state.session = String(url.searchParams.get('state'));
    response.end('ok');
    return;
  }
  const path = normalize(join(STATIC, url.pathname === '/' ? 'index.html' : url.pathname));
  if (!path.startsWith(STATIC)) {
    response.writeHead(404).end();
    return;
  }
  try {
    const body = await readFile(path);
    response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP, 'Cache-Control': 'no-store' });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}

server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  const client = new Client(/** @type {import('node:net').Socket} */ (socket));
  clients.add(client);
  socket.on('data', (data) => client.take(data));
  for (const event of ['close', 'error']) socket.on(event, () => clients.delete(client));
  client.json(hello());
  client.json(session());
});

setInterval(() => {
  state.seq++;
  if (state.session !== 'playing') return;
  for (const market of markets) {
    const steps = Math.max(1, Math.round(state.speed));
    let column = market.step();
    for (let i = 1; i < steps; i++) column = market.step();
    const frame = steps > 4
      ? (() => {
        const part = market.range(1, market.head - steps + 1, market.head);
        return encodeHist({ first: part.first, columns: part.columns, trades: part.trades, levels: 200, gapFill: true, last: true, unit: market.o.lot, symbol: market.o.id, seq: state.seq });
      })()
      : encodeTick({ ...column, col: market.head, flags: 3 | (market.stale ? 4 : 0), ofiFirst: market.head, ofi: [column.ofi], symbol: market.o.id, seq: state.seq, serverMs: Date.now() });
    for (const client of clients) if (client.symbol === market.o.id && client.res === 0) client.send(frame);
  }
}, 50);

setInterval(() => {
  for (const client of clients) {
    client.json(session());
    const m = markets[client.symbol];
    if (m === undefined) continue;
    const c = m.columns[m.columns.length - 1];
    client.json({
      t: 'info', sym: m.o.id, tsMs: ORIGIN + m.head * 50, state: state.stale ? 'STALE' : 'LIVE', stateReason: state.stale ? 'gap: 12 messages lost' : null, incomplete: false,
      bestBid: null, bestAsk: null, bidSize: null, askSize: null, mid: null, last: null, spread: null, spreadTicks: null, spreadBps: null, ofi1s: null, cvd: c.cvd,
      imbalance: c.imbalance, trades: m.seq, volume: m.seq * 11 * m.o.lot, lagMs: state.mode === 'live' ? 42 : null, eventsPerSec: 1840, counters: { unknown_cancels: 3, crossed: 0 },
      session: { calendar: m.o.name === 'ESH4' ? 'CME_Equity' : '24/7', phase: m.o.name === 'ESH4' ? 'ETH' : '24/7', extended: m.o.name === 'ESH4' },
      orders: { bids: [...Array(20).keys()].map((i) => [m.bid - i, 1 + ((m.bid - i) % 7)]), asks: [...Array(20).keys()].map((i) => [m.ask + i, 1 + ((m.ask + i) % 9)]) },
    });
  }
}, 500);

server.listen(Number(process.argv[2] ?? 8099), '127.0.0.1', () => console.log(`http://127.0.0.1:${process.argv[2] ?? 8099}`));
