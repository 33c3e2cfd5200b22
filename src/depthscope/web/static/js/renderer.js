// @ts-check
/**
 * Decides when what is drawn. The chart is redrawn when something changed, at most once a frame; the other panels ten times a second,
 * and in another frame than the chart where possible, so that no single frame is long.
 */
import { drawColumns, PROFILE_MS, RestingMean } from './columns.js';
import { drawCrosshair } from './crosshair.js';
import { drawDepth } from './depth.js';
import { AXIS_WIDTH, TIME_HEIGHT } from './geometry.js';
import { CanvasHeatmap } from './heatmap.js';
import { GlHeatmap } from './heatmap_gl.js';
import { drawLadder, rowsIn } from './ladder.js';
import { LadderPosition, PULL_MS, PulledStacked, ladderRows } from './ladder_model.js';
import { DotScale, drawOverlay } from './overlay.js';
import { THEMES, buildLut } from './palette.js';
import { drawStrips } from './strips.js';
import { Surface, element } from './surface.js';
import { drawTape } from './tape.js';
import { SizeHistogram, automaticTone, exactTone } from './tone.js';
import { VolumeProfile } from './trades.js';
import { chooseResolution } from './view.js';
import { InstrumentFormat } from './format.js';
import { formatSpan } from './time.js';

const PANEL_MS = 95;
const PROFILE_TICKS = 4096;

/** @typedef {import('./app.js').App} App */

export class Renderer {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    const changed = () => this.markChart();
    /** @param {string} id */
    const surface = (id) => new Surface(element(id, HTMLCanvasElement), changed);
    this.over = surface('over');
    this.strips = surface('strips');
    this.cols = surface('cols');
    this.cross = surface('cross');
    this.dom = surface('dom');
    this.depth = surface('depth');
    this.tape = surface('tape');
    this.heat = this.#makeHeatmap();
    this.histogram = new SizeHistogram();
    /** @type {import('./tone.js').Tone} */
    this.tone = { low: 0, high: 5 };
    this.dots = new DotScale();
    this.profile = new VolumeProfile(PROFILE_TICKS);
    this.mean = new RestingMean();
    this.pulled = new PulledStacked();
    this.ladder = new LadderPosition();
    this.ladderGroup = 0;
    this.ladderRowCount = 0;
    this.res = 0;
    /** @type {import('./geometry.js').Plot} */
    this.plot = { rect: { c0: 0, c1: 1, p0: 0, p1: 1 }, width: 1, height: 1 };
    /** Pointer over the chart, CSS pixels. @type {{x: number, y: number} | null} */
    this.pointer = null;
    this.chartDirty = true;
    this.crossDirty = true;
    this.panelsDirty = true;
    /** The user is moving the view: strips keep pace with the heatmap. */
    this.interactive = false;
    this.lastPanels = 0;
    this.lastSlow = 0;
    this.generation = -1;
    /** @type {import('./store.js').ColumnStore | null} */
    this.fitStore = null;
    this.applyTheme();
    app.market.onColumns.add((store, first, end) => {
      this.heat.invalidate(store, first, end);
      this.markChart();
    });
  }

  #makeHeatmap() {
    const canvas = element('heat', HTMLCanvasElement);
    if (!this.app.useGl) return new CanvasHeatmap(canvas);
    return new GlHeatmap(canvas, () => {
      // The canvas keeps its lost WebGL context for ever: a new one takes over, on the 2-D path.
      const fresh = document.createElement('canvas');
      fresh.id = 'heat';
      fresh.setAttribute('aria-hidden', 'true');
      document.getElementById('heat')?.replaceWith(fresh);
      this.heat = new CanvasHeatmap(fresh);
      this.applyTheme();
    });
  }

  get theme() {
    return THEMES[this.app.settings.values.theme];
  }

  /** Colours from the settings. */
  applyTheme() {
    const { theme, palette } = this.app.settings.values;
    document.documentElement.dataset.theme = theme;
    this.heat.setColours(buildLut(palette, theme), THEMES[theme].unknown);
    this.lastSlow = 0;
    this.markChart();
  }

  markChart() {
    this.chartDirty = true;
    this.panelsDirty = true;
    this.crossDirty = true;
  }

  markCross() {
    this.crossDirty = true;
  }

  /** The slow figures (colour cut-offs, dot scale, means) are made anew with the next frame. */
  markSlow() {
    this.lastSlow = 0;
    this.markChart();
  }

  /** @param {number} now performance.now() of the frame */
  frame(now) {
    const { perf, market } = this.app;
    perf.frames++;
    const started = performance.now();
    let drew = false;
    if (this.chartDirty && market.fine !== null) {
      this.chartDirty = false;
      this.#drawChart(now);
      drew = true;
      perf.draws++;
      perf.chartMs += performance.now() - started;
    }
    if (this.panelsDirty && now - this.lastPanels >= PANEL_MS && (!drew || now - this.lastPanels > 2 * PANEL_MS)) {
      const at = performance.now();
      this.panelsDirty = false;
      this.lastPanels = now;
      this.#drawPanels();
      perf.panels++;
      perf.panelMs += performance.now() - at;
    }
    if (this.crossDirty) {
      this.crossDirty = false;
      this.#drawCross();
    }
    perf.longestMs = Math.max(perf.longestMs, performance.now() - started);
  }

  /** @param {number} now */
  #drawChart(now) {
    const { market, view, perf, settings, clock } = this.app;
    const { fine, symbol, hello } = market;
    if (fine === null || symbol === null || hello === null) return;
    const due = now - this.lastSlow > 1000;
    this.#fitView(fine, due);
    this.res = chooseResolution(view.span, this.res, hello.res);
    market.want(this.res);
    const store = market.storeFor(this.res) ?? fine;
    const nowMs = Number.isFinite(market.nowMs) ? market.nowMs : 0;
    // Easing goes on with the next update: the page follows the market's own pace.
    const middle = this.#middle(fine);
    if (Number.isFinite(middle)) view.follow(middle);
    this.plot = {
      rect: view.rect(store, nowMs),
      width: Math.max(1, this.over.width - AXIS_WIDTH),
      height: Math.max(1, this.over.height - TIME_HEIGHT),
    };
    const slow = now - this.lastSlow > 1000;
    if (slow) {
      this.lastSlow = now;
      this.#updateTone(store);
    }
    const ratio = window.devicePixelRatio || 1;
    const t0 = performance.now();
    this.heat.draw(store, this.plot.rect, this.tone, Math.round(this.plot.width * ratio), Math.round(this.plot.height * ratio));
    const t1 = performance.now();
    const price = this.price(symbol);
    drawOverlay(this.over, {
      store, plot: this.plot, theme: this.theme, price, clock, originMs: market.originMs, dots: this.dots,
      dotFilter: settings.values.dots / 100, last: this.app.lastTrade(), rescale: slow,
    });
    const t2 = performance.now();
    this.#updateProfiles(fine, slow);
    drawColumns(this.cols, {
      store: fine, plot: this.plot, theme: this.theme, price, profile: this.profile,
      mean: settings.values.book === 'mean' ? this.mean : null,
    });
    const t3 = performance.now();
    if (this.interactive) this.#drawStrips();
    perf.heatMs += t1 - t0;
    perf.overlayMs += t2 - t1;
    perf.columnsMs += t3 - t2;
    perf.stripsMs += performance.now() - t3;
    if (perf.firstPaintMs === 0 && fine.head >= 0) {
      perf.firstPaintMs = performance.now();
      document.body.dataset.painted = '1';
    }
    if (slow) this.app.onScale();
  }

  /** A new history starts in the middle of the plot, with rows fitted to it. @param {import('./store.js').ColumnStore} fine @param {boolean} slow */
  #fitView(fine, slow) {
    const { view, market } = this.app;
    if (this.fitStore !== fine) {
      this.fitStore = fine;
      this.generation = fine.generation;
      view.center = NaN;
      view.fitted = false;
      view.autoRows = true;
      view.edge = null;
      this.ladder.recentre();
      this.dots.reference = NaN;
      this.lastSlow = 0;
    } else if (this.generation !== fine.generation) {
      this.generation = fine.generation;
      view.center = NaN;
      view.edge = null;
      this.ladder.recentre();
    }
    if (market.filling || fine.head < 0) return;
    if (!view.fitted || (slow && view.autoRows)) this.#fitRows(fine);
    view.settle((fine.head - fine.oldest + 1) * fine.ms);
  }

  /** What the chart and the ladder turn round, ticks: the mid, or the last trade where the data has no quotes. @param {import('./store.js').ColumnStore} fine */
  #middle(fine) {
    const quoted = fine.lastQuoted(fine.head);
    return quoted >= 0 ? fine.mid(quoted) : this.app.lastTrade()?.tick ?? NaN;
  }

  /** Fit the rows to the quotes of the last while, or to its trades. @param {import('./store.js').ColumnStore} fine */
  #fitRows(fine) {
    const { view } = this.app;
    let low = Infinity;
    let high = -Infinity;
    const oldest = Math.max(fine.oldest, Math.floor(fine.head - view.span / fine.ms));
    for (let c = oldest; c <= fine.head; c++) {
      const mid = fine.mid(c);
      if (mid < low) low = mid;
      if (mid > high) high = mid;
    }
    if (!(high >= low)) {
      const traded = fine.trades.list.filter((t) => t.col >= oldest).map((t) => t.tick);
      low = Math.min(...traded);
      high = Math.max(...traded);
    }
    if (!(high >= low)) return;
    const first = !view.fitted;
    view.fit(low, high, fine.levels, fine.row);
    if (first) {
      view.center = (low + high) / 2 + 0.5;
      this.lastSlow = 0;
    }
  }

  /** @param {import('./store.js').ColumnStore} store */
  #updateTone(store) {
    const { scale, scaleLow, scaleHigh, contrast } = this.app.settings.values;
    if (scale === 'exact' && scaleHigh > scaleLow) {
      const exact = exactTone(scaleLow, scaleHigh, store.lot);
      if (exact.low !== this.tone.low || exact.high !== this.tone.high) this.tone = exact;
      return;
    }
    const { c0, c1, p0, p1 } = this.plot.rect;
    this.histogram.update(store, c0, c1, p0, p1);
    this.tone = automaticTone(this.tone, this.histogram, contrast);
  }

  /** @param {import('./store.js').ColumnStore} fine @param {boolean} slow */
  #updateProfiles(fine, slow) {
    if (fine.head < 0) return;
    const centre = this.#middle(fine);
    const middle = Number.isFinite(centre) ? Math.round(centre) : fine.base[fine.slot(fine.head)];
    const first = fine.head - Math.round(PROFILE_MS / fine.ms) + 1;
    const low = middle - PROFILE_TICKS / 2;
    this.profile.update(fine.trades, first, fine.head + 1, low, PROFILE_TICKS);
    if (slow && this.app.settings.values.book === 'mean') {
      this.mean.update(fine, first, fine.head + 1, Math.floor(middle / fine.row) - PROFILE_TICKS / 4, PROFILE_TICKS / 2);
    }
  }

  /** @param {import('./types.js').SymbolInfo} symbol */
  price(symbol) {
    return new InstrumentFormat(symbol);
  }

  #drawStrips() {
    const { market } = this.app;
    const store = market.storeFor(this.res);
    if (store === null || market.symbol === null) return;
    drawStrips(this.strips, { store, plot: this.plot, theme: this.theme, price: this.price(market.symbol) });
  }

  #drawPanels() {
    const { market, perf, settings, clock } = this.app;
    const { fine, symbol } = market;
    if (fine === null || symbol === null) return;
    const t0 = performance.now();
    this.#drawStrips();
    const t1 = performance.now();
    this.#drawLadder(fine, symbol);
    const t2 = performance.now();
    const price = this.price(symbol);
    const near = market.near ?? fine;
    if (this.depth.height > 0) drawDepth(this.depth, { store: near, col: near.head, theme: this.theme, price });
    if (this.tape.height > 0) {
      drawTape(this.tape, {
        trades: fine.trades.list, least: settings.values.tapeLeast, ms: fine.ms, originMs: market.originMs, clock,
        theme: this.theme, price,
        reference: Number.isFinite(this.dots.reference) ? this.dots.reference : 1,
      });
    }
    this.app.onPanels();
    perf.stripsMs += t1 - t0;
    perf.ladderMs += t2 - t1;
    perf.sideMs += performance.now() - t2;
  }

  /** @param {import('./store.js').ColumnStore} fine @param {import('./types.js').SymbolInfo} symbol */
  #drawLadder(fine, symbol) {
    if (this.dom.height <= 0) return;
    const { market, settings } = this.app;
    const { group } = settings.values;
    const count = rowsIn(this.dom.height);
    const middle = this.#middle(fine);
    const moved = group !== this.ladderGroup || count !== this.ladderRowCount;
    this.ladderGroup = group;
    this.ladderRowCount = count;
    if (Number.isFinite(middle)) this.ladder.follow(middle / group, count, moved);
    if (Number.isNaN(this.ladder.centre)) {
      this.dom.begin();
      return;
    }
    const near = market.near ?? fine;
    this.pulled.update(near, fine.trades, near.head, PULL_MS);
    const last = this.app.lastTrade();
    const top = this.ladder.centre + Math.floor(count / 2);
    const rows = ladderRows(near, near.head, top, count, group, this.profile, this.pulled, last === null ? NaN : Math.floor(last.tick));
    const orders = market.info?.orders ?? null;
    drawLadder(this.dom, {
      rows, theme: this.theme, price: this.price(symbol), group,
      orders: orders === null ? null : new Map([...orders.bids, ...orders.asks]),
      direction: last?.direction ?? 0,
      pullWindow: this.pulled.span > 0 ? `${Math.round(this.pulled.span / 1000)}s` : '–',
    });
  }

  /** What the crosshair needs, null without a pointer or data. @returns {import('./crosshair.js').CrossInput | null} */
  crossInput() {
    const { market, clock } = this.app;
    const store = market.storeFor(this.res);
    const { symbol } = market;
    if (this.pointer === null || store === null || symbol === null || store.head < 0) return null;
    return {
      store, plot: this.plot, theme: this.theme, price: this.price(symbol), clock, originMs: market.originMs,
      at: this.pointer,
      stripsTop: this.plot.height + TIME_HEIGHT, stripsHeight: this.strips.height,
    };
  }

  #drawCross() {
    drawCrosshair(this.cross, this.crossInput());
  }

  /** Time on show, for the corner of the chart. */
  get spanText() {
    const store = this.app.market.storeFor(this.res);
    if (store === null) return '';
    return `${formatSpan(this.app.view.span)} · ${store.ms >= 1000 ? `${store.ms / 1000} s` : `${store.ms} ms`}`;
  }
}
