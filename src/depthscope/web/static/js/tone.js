// @ts-check
/** Which sizes get which colour: cut-offs by percentile of what is on show, or exact sizes. Works on log1p(lots). */

const BINS = 1024;
/** First colour of a level with size: colour 0 is kept for empty ones, so that a thin level differs from none. */
export const FIRST_SHADE = 18;
/** log1p of four billion lots: beyond any displayed size. */
const TOP = 22.2;

/**
 * @typedef {object} Tone
 * @property {number} low  log1p(lots) painted with the first colour
 * @property {number} high  log1p(lots) painted with the last colour
 */

/** Distribution of resting sizes over part of a store. */
export class SizeHistogram {
  constructor() {
    this.bins = new Uint32Array(BINS);
    this.total = 0;
  }

  /**
   * Count the non-empty cells on show, in at most 160 of the columns.
   * @param {import('./store.js').ColumnStore} store
   * @param {number} first
   * @param {number} end
   * @param {number} low  lowest tick on show
   * @param {number} high  one past the highest
   */
  update(store, first, end, low, high) {
    this.bins.fill(0);
    this.total = 0;
    const from = Math.max(Math.floor(first), store.oldest);
    const to = Math.min(Math.ceil(end), store.head + 1);
    const step = Math.max(1, Math.floor((to - from) / 160));
    const scale = BINS / TOP;
    for (let c = from; c < to; c += step) {
      if (!store.has(c)) continue;
      const slot = store.slot(c);
      const at = slot * store.levels;
      const bottom = Math.max(0, Math.floor((low - store.base[slot]) / store.row));
      const top = Math.min(store.levels, Math.ceil((high - store.base[slot]) / store.row));
      for (let k = at + bottom; k < at + top; k++) {
        const v = store.log[k];
        if (v > 0) {
          this.bins[Math.min(BINS - 1, (v * scale) | 0)]++;
          this.total++;
        }
      }
    }
  }

  /** log1p(lots) below which a share `p` of the cells lies; NaN without any. @param {number} p */
  quantile(p) {
    if (this.total === 0) return NaN;
    const wanted = p * this.total;
    let seen = 0;
    for (let i = 0; i < BINS; i++) {
      seen += this.bins[i];
      if (seen >= wanted) return ((i + 1) * TOP) / BINS;
    }
    return TOP;
  }
}

/** Upper percentile for a contrast of 0…100: gentle at 0, only the largest differences dark at 100. @param {number} contrast */
export function upperPercentile(contrast) {
  const x = Math.min(100, Math.max(0, contrast)) / 100;
  // 0 → 99.97 %, 50 → 99.4 %, 100 → 88 %: even steps of the logarithm of what is cut.
  return 1 - 0.0003 * Math.exp(x * Math.log(0.12 / 0.0003));
}

/**
 * Cut-offs for the present histogram. The old ones stay while they are near: recolouring everything for 2 % would flicker.
 * @param {Tone} old
 * @param {SizeHistogram} histogram
 * @param {number} contrast
 * @returns {Tone}
 */
export function automaticTone(old, histogram, contrast) {
  if (histogram.total === 0) return old;
  const usual = histogram.quantile(0.5);
  const high = Math.max(usual + 0.7, histogram.quantile(upperPercentile(contrast)));
  // What is usual stays dim, at a fifth of the scale: the eye is for what stands out.
  const low = Math.max(0, usual - 0.25 * (high - usual));
  const near = Math.abs(low - old.low) < 0.12 && Math.abs(high - old.high) < 0.12;
  return near ? old : { low, high };
}

/**
 * Cut-offs at exact sizes.
 * @param {number} low  public units
 * @param {number} high  public units
 * @param {number} lot
 * @returns {Tone}
 */
export function exactTone(low, high, lot) {
  const a = Math.log1p(Math.max(0, low) / lot);
  return { low: a, high: Math.max(a + 1e-6, Math.log1p(Math.max(0, high) / lot)) };
}

/** Size, in public units, painted with colour `x` (0…1). @param {Tone} tone @param {number} x @param {number} lot */
export function toneSize(tone, x, lot) {
  return Math.expm1(tone.low + (tone.high - tone.low) * x) * lot;
}
