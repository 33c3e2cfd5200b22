// @ts-check
/** The bar at the top: symbols, last price, session, clock, badge, colours. */
import { InstrumentFormat } from './format.js';
import { REFERENCE_RADIUS } from './overlay.js';
import { FONT_SMALL, THEMES, buildLut } from './palette.js';
import { MARKS, describePhase, missingCapabilities } from './status.js';
import { Surface, element, setText } from './surface.js';
import { utcTime } from './time.js';
import { FIRST_SHADE, toneSize } from './tone.js';

/** Symbols shown as buttons; with more, the rest go into a list. */
const MOST_BUTTONS = 6;
const FEWER_BUTTONS = 3;
const NARROW = 1400;
const CLOCKS = /** @type {const} */ (['exchange', 'utc', 'local']);

/** @typedef {import('./app.js').App} App */

export class Header {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.symbols = element('symbols', HTMLElement);
    this.last = element('last', HTMLOutputElement);
    this.badge = element('badge', HTMLElement);
    this.legend = new Surface(element('legend', HTMLCanvasElement), () => this.drawLegend());
    this.dotsKey = new Surface(element('dots-key', HTMLCanvasElement), () => this.drawDotsKey());
    this.shown = '';
    this.#bindControls();
    app.market.onSymbol.add(() => this.listSymbols());
    window.addEventListener('resize', () => this.listSymbols());
  }

  #bindControls() {
    const { settings } = this.app;
    const { values } = settings;
    const palette = element('palette', HTMLSelectElement);
    palette.value = values.palette;
    palette.onchange = () => settings.set('palette', /** @type {any} */ (palette.value));
    for (const key of /** @type {const} */ (['contrast', 'dots'])) {
      const slider = element(key, HTMLInputElement);
      slider.valueAsNumber = values[key];
      slider.oninput = () => settings.set(key, slider.valueAsNumber);
    }
    element('theme', HTMLButtonElement).onclick = () => settings.set('theme', settings.values.theme === 'dark' ? 'light' : 'dark');
    element('clock', HTMLButtonElement).onclick = () => {
      settings.set('clock', CLOCKS[(CLOCKS.indexOf(settings.values.clock) + 1) % CLOCKS.length]);
    };
    const help = element('help', HTMLDialogElement);
    element('help-open', HTMLButtonElement).onclick = () => help.showModal();
    this.#bindScale();
  }

  #bindScale() {
    const { settings } = this.app;
    const form = element('scale-form', HTMLFormElement);
    const low = element('scale-low', HTMLInputElement);
    const high = element('scale-high', HTMLInputElement);
    const menu = element('scale-menu', HTMLDetailsElement);
    const radios = /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll('input[name="scale"]'));
    const show = () => {
      const { tone } = this.app.renderer;
      const lot = Number(this.app.market.symbol?.lot ?? 1);
      const exact = settings.values.scale === 'exact';
      for (const radio of radios) radio.checked = radio.value === settings.values.scale;
      low.disabled = high.disabled = !exact;
      low.value = Number((exact ? settings.values.scaleLow : toneSize(tone, 0, lot)).toPrecision(3)).toString();
      high.value = Number((exact ? settings.values.scaleHigh : toneSize(tone, 1, lot)).toPrecision(3)).toString();
    };
    menu.ontoggle = show;
    form.onsubmit = (event) => event.preventDefault();
    form.onchange = () => {
      const exact = [...radios].some((r) => r.checked && r.value === 'exact');
      if (exact) {
        settings.set('scaleLow', Math.max(0, low.valueAsNumber || 0));
        settings.set('scaleHigh', Math.max(0, high.valueAsNumber || 0));
      }
      settings.set('scale', exact ? 'exact' : 'auto');
      show();
    };
    document.addEventListener('pointerdown', (event) => {
      if (menu.open && !menu.contains(/** @type {Node} */ (event.target))) menu.open = false;
    });
  }

  /** Buttons for the first symbols, a list for the rest. */
  listSymbols() {
    const { market, settings } = this.app;
    const all = market.hello?.symbols ?? [];
    const current = market.symbol?.id ?? -1;
    const buttons = window.innerWidth < NARROW ? FEWER_BUTTONS : MOST_BUTTONS;
    const key = `${buttons}|${all.map((s) => s.name).join()}|${current}`;
    if (key === this.shown) return;
    this.shown = key;
    /** @param {number} id */
    const pick = (id) => {
      market.pick(id);
      settings.set('symbol', market.symbol?.name ?? '');
    };
    this.symbols.replaceChildren(
      ...all.slice(0, buttons).map((symbol, i) => {
        const button = document.createElement('button');
        const key1 = document.createElement('kbd');
        key1.textContent = String(i + 1);
        button.append(key1, symbol.name);
        button.title = `${symbol.venue} · tick ${symbol.tick} · lot ${symbol.lot}${symbol.currency ? ` · ${symbol.currency}` : ''}`;
        button.setAttribute('aria-pressed', String(symbol.id === current));
        button.className = symbol.id === current ? 'on' : '';
        button.onclick = () => pick(symbol.id);
        return button;
      }),
    );
    if (all.length > buttons) this.symbols.append(this.#symbolList(all, current, pick));
  }

  /** @param {import('./types.js').SymbolInfo[]} all @param {number} current @param {(id: number) => void} pick */
  #symbolList(all, current, pick) {
    const select = document.createElement('select');
    select.setAttribute('aria-label', 'All symbols');
    select.append(new Option(`${all.length} symbols …`, '', true));
    for (const symbol of all) select.append(new Option(symbol.name, String(symbol.id), false, symbol.id === current));
    select.onchange = () => {
      if (select.value !== '') pick(Number(select.value));
    };
    return select;
  }

  /** Badge, mode and session. */
  showStatus() {
    const { market } = this.app;
    const status = this.app.status();
    this.badge.dataset.kind = status.kind;
    this.badge.title = status.detail;
    setText(element('badge-mark', HTMLElement), MARKS[status.kind]);
    setText(element('badge-text', HTMLElement), status.text);
    const mode = element('mode', HTMLElement);
    const speed = market.session?.speed ?? 1;
    mode.hidden = market.mode === null;
    setText(
      mode,
      market.mode === 'live' ? 'LIVE FEED' : `${market.mode === 'demo' ? 'DEMO' : 'REPLAY'}${speed === 1 ? '' : speed === 'max' ? ' max' : ` ${speed}×`}`,
    );
    mode.title = market.mode === 'demo' ? 'A generated market: none of these prices is real' : market.hello?.source?.name ?? '';
    const phase = describePhase(market.info);
    const tag = element('phase', HTMLElement);
    tag.hidden = phase.text === '';
    tag.dataset.warn = phase.warn ? '1' : '0';
    tag.title = phase.warn ? 'Extended hours: thinner books, wider spreads' : `Calendar ${market.info?.session?.calendar ?? ''}`;
    setText(tag, phase.text);
  }

  /** Last price and clock. */
  showFigures() {
    const { market, clock, renderer } = this.app;
    const { symbol } = market;
    const last = this.app.lastTrade();
    setText(element('last-mark', HTMLElement), last === null ? '' : last.direction > 0 ? '▲' : last.direction < 0 ? '▼' : '■');
    setText(element('last-price', HTMLElement), last === null || symbol === null ? '–' : renderer.price(symbol).text(last.tick));
    this.last.dataset.direction = String(last?.direction ?? 0);
    const now = market.originMs + market.nowMs;
    setText(element('clock-time', HTMLElement), clock.time(now));
    setText(element('clock-zone', HTMLElement), clock.label);
    setText(element('clock-utc', HTMLElement), clock.label === 'UTC' || !Number.isFinite(now) ? clock.date(now) : `${utcTime(now)} UTC`);
    document.title = last === null || symbol === null ? 'depthscope' : `${renderer.price(symbol).text(last.tick)} ${symbol.name} · depthscope`;
  }

  /** Gradient with the sizes of its first, middle and last colour. */
  drawLegend() {
    const { theme, palette } = this.app.settings.values;
    const g = this.legend.begin();
    const { width, height } = this.legend;
    const lut = buildLut(palette, theme);
    for (let x = 0; x < width; x++) {
      const i = (FIRST_SHADE + Math.floor((x / width) * (255 - FIRST_SHADE))) * 4;
      g.fillStyle = `rgb(${lut[i]},${lut[i + 1]},${lut[i + 2]})`;
      g.fillRect(x, 2, 1, height - 15);
    }
    g.strokeStyle = THEMES[theme].line;
    g.strokeRect(0.5, 2.5, width - 1, height - 16);
    const { symbol } = this.app.market;
    if (symbol === null) return;
    const format = new InstrumentFormat(symbol);
    const { tone } = this.app.renderer;
    g.font = FONT_SMALL;
    g.fillStyle = THEMES[theme].dim;
    g.textBaseline = 'alphabetic';
    const places = /** @type {[number, CanvasTextAlign][]} */ ([[0, 'left'], [0.5, 'center'], [1, 'right']]);
    for (const [x, align] of places) {
      g.textAlign = align;
      g.fillText(`${x === 0 ? '≤' : x === 1 ? '≥' : ''}${format.size(Math.max(Number(symbol.lot), toneSize(tone, x, Number(symbol.lot))))}`, x * width, height - 1);
    }
  }

  /** Three dots and the volumes they stand for. */
  drawDotsKey() {
    const theme = THEMES[this.app.settings.values.theme];
    const g = this.dotsKey.begin();
    const { dots } = this.app.renderer;
    const { symbol } = this.app.market;
    const known = Number.isFinite(dots.reference) && symbol !== null;
    this.dotsKey.canvas.hidden = !known;
    if (!known) return;
    const format = new InstrumentFormat(symbol);
    g.font = FONT_SMALL;
    g.textBaseline = 'middle';
    let x = 2;
    for (const share of [0.1, 0.4, 1]) {
      const size = Number((dots.reference * share).toPrecision(2));
      if (size < Number(symbol.lot)) continue;
      const r = REFERENCE_RADIUS * Math.sqrt(share);
      g.fillStyle = theme.neutral;
      g.beginPath();
      g.arc(x + r, 11, r, 0, 2 * Math.PI);
      g.fill();
      const text = format.size(size);
      g.fillStyle = theme.fg;
      g.fillText(text, x + 2 * r + 3, 11.5);
      x += 2 * r + 3 + g.measureText(text).width + 7;
    }
    this.dotsKey.canvas.style.width = `${Math.ceil(x)}px`;
  }

  /** Scales that change with the market. */
  showScale() {
    this.drawLegend();
    this.drawDotsKey();
    const { dots } = this.app.renderer;
    const { symbol } = this.app.market;
    if (symbol === null) return;
    setText(element('dots-least', HTMLElement), dots.least > 0 ? `≥ ${new InstrumentFormat(symbol).size(dots.least)}` : 'all');
    const unit = sizeUnit(symbol);
    setText(element('size-unit', HTMLElement), unit);
    setText(element('scale-unit', HTMLElement), unit);
    const missing = missingCapabilities(symbol);
    const note = element('missing', HTMLElement);
    note.hidden = missing.length === 0;
    setText(note, missing.join(' · '));
  }
}

/** What one unit of size is: shares, contracts or coins. @param {import('./types.js').SymbolInfo} symbol */
export function sizeUnit(symbol) {
  if (/NYSE|NASDAQ|XN/i.test(symbol.calendar)) return 'shares';
  if (/CME|CBOT|NYMEX|COMEX/i.test(symbol.calendar)) return 'contracts';
  const base = /^([A-Z0-9]{2,6}?)(USDT|USDC|USD|BUSD|FDUSD)$/.exec(symbol.name);
  return base === null ? 'units' : base[1];
}
