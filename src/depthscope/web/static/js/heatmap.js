// @ts-check
/**
 * The heatmap on a plain 2-D canvas: the default, and the fastest where there is no real GPU.
 *
 * Cells are painted once into a ring of columns (time wraps round, price is a window anchored near the centre); showing them, panning and
 * zooming is one scaled copy. When a pixel holds several columns or levels the ring holds bins instead, each the MAXIMUM of its
 * cells: a wall one column or one level wide survives any zoom.
 */
import { CAPACITY } from './store.js';
import { FIRST_SHADE } from './tone.js';

const RING = CAPACITY;
const MASK = RING - 1;
const ROWS = 1024;
/** Columns painted by one putImageData. */
const BATCH = 64;

/** @typedef {import('./store.js').ColumnStore} ColumnStore */
/** @typedef {import('./view.js').Rect} Rect */
/** @typedef {import('./tone.js').Tone} Tone */

/** Smallest power of two of columns (or levels) a bin needs so that a bin is at least one pixel. @param {number} visible @param {number} pixels */
export function binFactor(visible, pixels) {
  let factor = 1;
  while (visible / factor > pixels) factor *= 2;
  return factor;
}

export class CanvasHeatmap {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.kind = 'canvas2d';
    this.canvas = canvas;
    const context = canvas.getContext('2d', { alpha: false });
    if (context === null) throw new Error('no 2-D context for the heatmap');
    this.g = context;
    this.ring = new OffscreenCanvas(RING, ROWS);
    const ring = this.ring.getContext('2d', { alpha: false });
    if (ring === null) throw new Error('no 2-D context for the heatmap ring');
    this.ringContext = ring;
    this.image = new ImageData(BATCH, ROWS);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.lut = new Uint32Array(256);
    this.unknown = 0xff000000;
    this.row = new Float32Array(ROWS);
    /** Which bin a ring column holds, and of which painting. */
    this.painted = new Float64Array(RING).fill(-1);
    this.paintedIn = new Float64Array(RING).fill(-1);
    this.painting = 0;
    this.dx = 1;
    this.dy = 1;
    /** Bin of levels in the lowest ring row. */
    this.anchor = 0;
    /** @type {ColumnStore | null} */
    this.store = null;
    this.generation = -1;
    /** @type {Tone} */
    this.tone = { low: 0, high: 1 };
    this.columnsPainted = 0;
  }

  /** @param {Uint8ClampedArray} lut @param {[number, number, number]} unknown */
  setColours(lut, unknown) {
    this.lut = new Uint32Array(lut.slice().buffer);
    this.unknown = (0xff000000 | (unknown[2] << 16) | (unknown[1] << 8) | unknown[0]) >>> 0;
    this.painting++;
  }

  /** Columns [first, end) of a store have changed. @param {ColumnStore} store @param {number} first @param {number} end */
  invalidate(store, first, end) {
    if (store !== this.store) return;
    const from = Math.floor(first / this.dx);
    const to = Math.min(Math.floor((end - 1) / this.dx), from + MASK);
    for (let bin = from; bin <= to; bin++) this.paintedIn[bin & MASK] = -1;
  }

  /**
   * Paint what is missing and copy it to the canvas.
   * @param {ColumnStore} store
   * @param {Rect} rect
   * @param {Tone} tone
   * @param {number} width  device pixels
   * @param {number} height  device pixels
   */
  draw(store, rect, tone, width, height) {
    const { canvas, g } = this;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    this.#settle(store, rect, tone, width, height);
    g.imageSmoothingEnabled = false;
    g.fillStyle = `rgb(${this.unknown & 255},${(this.unknown >> 8) & 255},${(this.unknown >> 16) & 255})`;
    g.fillRect(0, 0, width, height);
    if (store.head < 0 || !Number.isFinite(rect.p0)) return;

    const firstBin = Math.floor(Math.max(rect.c0, store.oldest) / this.dx);
    const endBin = Math.floor(Math.min(Math.ceil(rect.c1), store.head + 1) / this.dx + (this.dx - 1) / this.dx);
    if (endBin <= firstBin) return;
    this.#paint(store, firstBin, Math.min(endBin, firstBin + RING));

    const perBinTicks = this.dy * store.row;
    const low = Math.max(Math.floor(rect.p0 / perBinTicks), this.anchor);
    const high = Math.min(Math.ceil(rect.p1 / perBinTicks), this.anchor + ROWS);
    const perBin = (width / (rect.c1 - rect.c0)) * this.dx;
    const perRow = (height / (rect.p1 - rect.p0)) * perBinTicks;
    const top = height - (high - rect.p0 / perBinTicks) * perRow;
    const source = ROWS - (high - this.anchor);
    for (let bin = firstBin; bin < endBin; ) {
      const slot = bin & MASK;
      const run = Math.min(endBin - bin, RING - slot);
      const left = (bin - rect.c0 / this.dx) * perBin;
      g.drawImage(this.ring, slot, source, run, high - low, left, top, run * perBin, (high - low) * perRow);
      bin += run;
    }
  }

  /** Start a new painting when the store, the scale, the price window or the colours have changed. @param {ColumnStore} store @param {Rect} rect @param {Tone} tone @param {number} width @param {number} height */
  #settle(store, rect, tone, width, height) {
    const dx = binFactor(rect.c1 - rect.c0, width);
    const levels = (rect.p1 - rect.p0) / store.row;
    const dy = Math.max(binFactor(levels, height), binFactor(levels, ROWS * 0.75));
    const low = Math.floor(rect.p0 / (dy * store.row));
    const high = Math.ceil(rect.p1 / (dy * store.row));
    const outside = low < this.anchor || high > this.anchor + ROWS;
    const same =
      store === this.store && store.generation === this.generation && dx === this.dx && dy === this.dy && !outside &&
      tone.low === this.tone.low && tone.high === this.tone.high;
    if (same) return;
    if (outside || dy !== this.dy) this.anchor = Math.floor((low + high) / 2) - ROWS / 2;
    this.store = store;
    this.generation = store.generation;
    this.dx = dx;
    this.dy = dy;
    this.tone = tone;
    this.painting++;
  }

  /** @param {ColumnStore} store @param {number} firstBin @param {number} endBin */
  #paint(store, firstBin, endBin) {
    for (let bin = firstBin; bin < endBin; ) {
      const slot = bin & MASK;
      if (this.paintedIn[slot] === this.painting && this.painted[slot] === bin) {
        bin++;
        continue;
      }
      const room = Math.min(BATCH, endBin - bin, RING - slot);
      let run = 0;
      while (run < room) {
        const at = (bin + run) & MASK;
        if (this.paintedIn[at] === this.painting && this.painted[at] === bin + run) break;
        this.#paintBin(store, bin + run, run);
        this.painted[at] = bin + run;
        this.paintedIn[at] = this.painting;
        run++;
      }
      this.ringContext.putImageData(this.image, slot, 0, 0, 0, run, ROWS);
      this.columnsPainted += run;
      bin += run;
    }
  }

  /** Paint one bin into column `x` of the batch image. @param {ColumnStore} store @param {number} bin @param {number} x */
  #paintBin(store, bin, x) {
    const { row, dx, dy, anchor, pixels, lut, unknown } = this;
    row.fill(-1);
    const { levels, log } = store;
    for (let col = bin * dx, end = col + dx; col < end; col++) {
      if (!store.isLive(col)) continue;
      const slot = store.slot(col);
      const base = store.base[slot] / store.row;
      const at = slot * levels;
      if (dy === 1) {
        const shift = base - anchor;
        const from = Math.max(0, -shift);
        const to = Math.min(levels, ROWS - shift);
        for (let k = from; k < to; k++) if (log[at + k] > row[k + shift]) row[k + shift] = log[at + k];
      } else {
        for (let k = 0; k < levels; k++) {
          const r = Math.floor((base + k) / dy) - anchor;
          if (r >= 0 && r < ROWS && log[at + k] > row[r]) row[r] = log[at + k];
        }
      }
    }
    const { low, high } = this.tone;
    const scale = (255 - FIRST_SHADE) / (high - low);
    for (let r = 0, p = (ROWS - 1) * BATCH + x; r < ROWS; r++, p -= BATCH) {
      const v = row[r];
      if (v < 0) pixels[p] = unknown;
      else if (v === 0) pixels[p] = lut[0];
      else {
        const shade = FIRST_SHADE + (v - low) * scale;
        pixels[p] = lut[shade >= 255 ? 255 : shade <= FIRST_SHADE ? FIRST_SHADE : shade | 0];
      }
    }
  }
}
