// @ts-check
/** Pointer, wheel and keyboard. */
import { element } from './surface.js';

/** @typedef {import('./app.js').App} App */

const ZOOM = 1.16;

export class Input {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.canvas = element('cross', HTMLCanvasElement);
    /** Where a drag began to be counted, null without one. @type {{x: number, y: number, axis: boolean} | null} */
    this.drag = null;
    /** Pointers down: two of them pinch. @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    this.calm = 0;
    this.#bindChart();
    this.#bindLadder();
    document.addEventListener('keydown', (event) => this.#key(event));
  }

  /** The view was moved by hand: redraw, with strips keeping pace for a moment. */
  #moved() {
    const { renderer } = this.app;
    renderer.interactive = true;
    renderer.markChart();
    window.clearTimeout(this.calm);
    this.calm = window.setTimeout(() => {
      renderer.interactive = false;
    }, 200);
  }

  get #now() {
    const { nowMs } = this.app.market;
    return Number.isFinite(nowMs) ? nowMs : 0;
  }

  get #oldest() {
    const { market, renderer } = this.app;
    const store = market.storeFor(renderer.res);
    return store === null || store.head < 0 ? 0 : store.oldest * store.ms;
  }

  /** @param {number} x */
  #onAxis(x) {
    return x >= this.app.renderer.plot.width;
  }

  #bindChart() {
    const { canvas } = this;
    canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener('pointerdown', (event) => {
      this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      canvas.setPointerCapture(event.pointerId);
      this.drag = { x: event.offsetX, y: event.offsetY, axis: this.#onAxis(event.offsetX) };
    });
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    /** @param {PointerEvent} event */
    const end = (event) => {
      this.pointers.delete(event.pointerId);
      if (this.pointers.size === 0) this.drag = null;
      delete canvas.dataset.dragging;
    };
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
    canvas.addEventListener('pointerleave', () => {
      this.app.renderer.pointer = null;
      this.app.renderer.markCross();
    });
    canvas.addEventListener('dblclick', () => {
      this.app.resetView();
      this.#moved();
    });
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const { view, renderer } = this.app;
    // Shift turns a vertical wheel into a horizontal one in some browsers.
    const delta = event.deltaY !== 0 ? event.deltaY : event.deltaX;
    if (delta === 0) return;
    const factor = delta > 0 ? ZOOM : 1 / ZOOM;
    if (event.shiftKey || this.#onAxis(event.offsetX)) view.zoomPrice(factor, event.offsetY / renderer.plot.height);
    else view.zoomTime(factor, event.offsetX / renderer.plot.width, this.#now);
    this.#moved();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const { renderer, view } = this.app;
    const at = { x: event.offsetX, y: event.offsetY };
    renderer.pointer = at;
    this.canvas.dataset.over = this.#onAxis(at.x) ? 'axis' : 'plot';
    renderer.markCross();
    const before = this.pointers.get(event.pointerId);
    if (before === undefined || this.drag === null) return;
    this.pointers.set(event.pointerId, at);
    const { plot } = renderer;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other !== undefined) {
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const is = Math.hypot(at.x - other.x, at.y - other.y);
      if (was > 10 && is > 10) view.zoomTime(was / is, (at.x + other.x) / 2 / plot.width, this.#now);
    } else if (this.drag.axis) {
      view.zoomPrice(Math.exp((at.y - before.y) / 180), 0.5);
    } else {
      this.canvas.dataset.dragging = '1';
      // A drag along time alone must not unhook the price, so the first few pixels up or down do not count.
      const vertical = Math.abs(at.y - this.drag.y) > 6 || !view.followPrice;
      view.pan(
        ((at.x - before.x) / plot.width) * view.span,
        vertical ? ((at.y - before.y) / plot.height) * view.rows : 0,
        this.#now,
        this.#oldest,
      );
      this.app.onStatus();
    }
    this.#moved();
  }

  #bindLadder() {
    const { renderer } = this.app;
    const dom = element('dom', HTMLCanvasElement);
    dom.addEventListener('pointerenter', () => {
      renderer.ladder.hovered = true;
    });
    dom.addEventListener('pointerleave', () => {
      renderer.ladder.hovered = false;
      renderer.markChart();
    });
    dom.addEventListener('wheel', (event) => {
      event.preventDefault();
      renderer.ladder.scroll(event.deltaY < 0 ? 3 : -3);
      renderer.markChart();
    }, { passive: false });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') !== null) return;
    // Typing in a field and moving a slider belong to the field; letters still work from a slider.
    if (target instanceof HTMLInputElement && target.type !== 'range') return;
    if (target instanceof HTMLSelectElement) return;
    if (event.key.startsWith('Arrow') && target instanceof HTMLInputElement) return;
    if (event.key === ' ' && (target instanceof HTMLButtonElement || target.tagName === 'SUMMARY')) return;
    if (this.#act(event)) event.preventDefault();
  }

  /** @param {KeyboardEvent} event @returns {boolean} true when the key is one of ours */
  #act(event) {
    const { app } = this;
    const { view, market, settings } = app;
    const step = 0.12;
    switch (event.key) {
      case ' ':
        app.togglePause();
        return true;
      case 'l':
      case 'L':
        app.goLive();
        return true;
      case 'c':
      case 'C':
        app.recentre();
        return true;
      case 'b':
      case 'B':
        settings.set('book', settings.values.book === 'now' ? 'mean' : 'now');
        return true;
      case 't':
      case 'T':
        settings.set('theme', settings.values.theme === 'dark' ? 'light' : 'dark');
        return true;
      case '?':
        element('help', HTMLDialogElement).showModal();
        return true;
      case '+':
      case '=':
      case '*':
        if (event.shiftKey && event.key !== '+') view.zoomPrice(1 / ZOOM, 0.5);
        else if (event.shiftKey) view.zoomPrice(1 / ZOOM, 0.5);
        else view.zoomTime(1 / ZOOM, 1, this.#now);
        break;
      case '-':
      case '_':
        if (event.shiftKey) view.zoomPrice(ZOOM, 0.5);
        else view.zoomTime(ZOOM, 1, this.#now);
        break;
      case 'ArrowLeft':
        view.pan(view.span * step, 0, this.#now, this.#oldest);
        break;
      case 'ArrowRight':
        view.pan(-view.span * step, 0, this.#now, this.#oldest);
        break;
      case 'ArrowUp':
        view.pan(0, view.rows * step, this.#now, this.#oldest);
        break;
      case 'ArrowDown':
        view.pan(0, -view.rows * step, this.#now, this.#oldest);
        break;
      default: {
        const number = Number(event.key);
        const symbol = event.key >= '1' && event.key <= '9' ? market.hello?.symbols[number - 1] : undefined;
        if (symbol === undefined) return false;
        market.pick(symbol.id);
        settings.set('symbol', symbol.name);
        return true;
      }
    }
    app.onStatus();
    this.#moved();
    return true;
  }
}
