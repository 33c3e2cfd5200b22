// @ts-check
/** The page's parts, joined: one object that every part may look at, made by main.js. */
import { Feed } from './feed.js';
import { hasHardwareGl } from './heatmap_gl.js';
import { Market } from './market.js';
import { Perf } from './perf.js';
import { Renderer } from './renderer.js';
import { Settings, browserStorage } from './settings.js';
import { describeStatus } from './status.js';
import { MarketClock } from './time.js';
import { View } from './view.js';

/** Whether the newest column shows a book whose sides overlap. @param {import('./store.js').ColumnStore | null} fine */
function crossedNow(fine) {
  if (fine === null || fine.head < 0 || fine.lastQuoted(fine.head) !== fine.head) return false;
  const slot = fine.slot(fine.head);
  return fine.ask[slot] < fine.bid[slot];
}

export class App {
  constructor() {
    const query = new URLSearchParams(location.search);
    this.settings = new Settings(browserStorage());
    this.perf = new Perf();
    this.clock = new MarketClock();
    this.view = new View();
    /** `?gl=1` and `?gl=0` force the renderer; otherwise WebGL2 only on a real GPU. */
    this.useGl = query.get('gl') === '1' || (query.get('gl') !== '0' && hasHardwareGl());
    /** @type {Market} */
    this.market = new Market((command) => this.feed.send(command));
    this.market.wanted = query.get('symbol') ?? this.settings.values.symbol;
    /** Called once a second when colour and dot scales may have changed. */
    this.onScale = () => {};
    /** Called with the panels, ten times a second. */
    this.onPanels = () => {};
    /** Called when connection, session or book state may have changed. */
    this.onStatus = () => {};
    this.renderer = new Renderer(this);
    const stream = new URL('stream', location.href);
    stream.protocol = stream.protocol === 'https:' ? 'wss:' : 'ws:';
    stream.search = '';
    /** @type {Feed} */
    this.feed = new Feed(stream.href, 'api/v1/health', {
      onFrame: (frame) => {
        if (frame.kind === 'tick' || (frame.kind === 'hist' && frame.gapFill)) this.perf.updates++;
        this.market.apply(frame);
      },
      onMessage: (message) => {
        this.market.take(message);
        this.onStatus();
      },
      onState: () => {
        // The first state is told from inside the constructor, before `feed` is there.
        if (this.feed !== undefined && this.feed.state !== 'open') this.market.disconnected();
        this.onStatus();
      },
      ackOf: () => this.market.ack(),
    });
  }

  /** State of connection, session and book in words. */
  status() {
    const { feed, market } = this;
    return describeStatus({
      feed: feed?.state ?? 'connecting',
      reason: feed?.reason ?? '',
      retrySeconds: feed === undefined ? 0 : Math.max(0, (feed.retryAt - performance.now()) / 1000),
      hello: market.hello,
      session: market.session,
      info: market.info,
      filling: market.filling,
      empty: market.fine === null || market.fine.head < 0,
      crossed: crossedNow(market.fine),
      symbol: market.symbol,
    });
  }

  /** The last trade: price in ticks and the direction it came from (−1, 0, 1). @returns {{tick: number, direction: number} | null} */
  lastTrade() {
    const { fine, info } = this.market;
    if (fine === null) return null;
    const { list } = fine.trades;
    const newest = list[list.length - 1];
    if (newest === undefined) {
      const tick = Number(this.market.symbol?.tick);
      const told = info?.last === null || info?.last === undefined ? NaN : Number(info.last) / tick;
      return Number.isFinite(told) ? { tick: Math.round(told * 1e4) / 1e4, direction: 0 } : null;
    }
    const at = newest.tick + newest.fraction;
    for (let i = list.length - 2, end = Math.max(0, list.length - 500); i >= end; i--) {
      const before = list[i].tick + list[i].fraction;
      if (before !== at) return { tick: at, direction: Math.sign(at - before) };
    }
    return { tick: at, direction: 0 };
  }

  get paused() {
    return this.market.mode === 'live' ? this.market.frozen : this.market.session?.state === 'paused';
  }

  togglePause() {
    const { market } = this;
    if (market.mode === 'live') market.freeze(!market.frozen);
    else this.feed.send({ cmd: this.paused ? 'resume' : 'pause' });
    this.onStatus();
  }

  goLive() {
    this.view.goLive();
    this.market.freeze(false);
    if (this.market.mode !== 'live' && this.paused) this.feed.send({ cmd: 'resume' });
    this.renderer.markChart();
    this.onStatus();
  }

  recentre() {
    const { fine } = this.market;
    this.view.recentre(fine === null ? NaN : fine.mid(fine.lastQuoted(fine.head)));
    this.renderer.ladder.recentre();
    this.renderer.markChart();
  }

  resetView() {
    this.view.reset();
    this.renderer.ladder.recentre();
    this.goLive();
  }
}
