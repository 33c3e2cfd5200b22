// @ts-check
/** Numbers as text. Prices are exact multiples of a decimal tick: they are formatted by digits, never rounded by eye. */

export const DASH = '–';

/** A size in few characters: 0.005, 3.20, 45.1, 812, 12.4k, 3.1M. @param {number} value @param {number} [decimals] most digits after the point */
export function formatSize(value, decimals = 3) {
  if (!Number.isFinite(value)) return DASH;
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e9) return `${(value / 1e9).toFixed(size >= 1e10 ? 1 : 2)}G`;
  if (size >= 1e6) return `${(value / 1e6).toFixed(size >= 1e7 ? 1 : 2)}M`;
  if (size >= 1e5) return `${(value / 1e3).toFixed(0)}k`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(1)}k`;
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  return value.toFixed(Math.min(decimals, digits));
}

/** A size with thousands separated by thin spaces and all its digits. @param {number} value @param {number} decimals */
export function formatExact(value, decimals) {
  if (!Number.isFinite(value)) return DASH;
  const [whole, rest] = Math.abs(value).toFixed(decimals).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u2009');
  return `${value < 0 ? '−' : ''}${grouped}${rest ? `.${rest}` : ''}`;
}

/** @param {number} value @param {number} digits */
export function formatFixed(value, digits) {
  if (!Number.isFinite(value)) return DASH;
  return (value < 0 ? '−' : '') + Math.abs(value).toFixed(digits);
}

/** With an explicit sign; zero has none. @param {number} value @param {(v: number) => string} format */
export function formatSigned(value, format) {
  if (!Number.isFinite(value)) return DASH;
  const text = format(Math.abs(value));
  if (Number(text) === 0) return text;
  return (value > 0 ? '+' : '−') + text;
}

/** Prices (from ticks) and sizes of one instrument. */
export class InstrumentFormat {
  /** @param {import('./types.js').SymbolInfo} symbol */
  constructor(symbol) {
    this.tick = Number(symbol.tick);
    this.decimals = symbol.decimals;
    this.sizeDecimals = symbol.sizeDecimals;
  }

  /** Price of a tick; fractions of one (midpoint and sub-penny prints) get the digits they need. @param {number} ticks */
  text(ticks) {
    if (!Number.isFinite(ticks)) return DASH;
    if (Number.isInteger(ticks)) return (ticks * this.tick).toFixed(this.decimals);
    const [whole, rest] = (ticks * this.tick).toFixed(this.decimals + 4).split('.');
    return `${whole}.${rest.slice(0, this.decimals)}${rest.slice(this.decimals).replace(/0+$/, '')}`;
  }

  /** Price of a mid: half a tick needs exactly one more digit. @param {number} ticks */
  half(ticks) {
    if (!Number.isFinite(ticks)) return DASH;
    return (ticks * this.tick).toFixed(this.decimals + (Number.isInteger(ticks) ? 0 : 1));
  }

  /** @param {number} value public units */
  size(value) {
    return formatSize(value, this.sizeDecimals);
  }
}

/** How many leading characters all texts share, never past the last `keep` of the shortest. @param {string[]} texts @param {number} keep */
export function commonPrefix(texts, keep) {
  if (texts.length === 0) return 0;
  let n = Math.max(0, Math.min(...texts.map((t) => t.length)) - keep);
  for (const text of texts) {
    let k = 0;
    while (k < n && text[k] === texts[0][k]) k++;
    n = k;
  }
  return n;
}

/** Round up to 1, 2 or 5 times a power of ten. @param {number} value */
export function niceCeil(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const k of [1, 2, 5, 10]) if (k * power >= value * (1 - 1e-9)) return k * power;
  return 10 * power;
}

/** Round down to 1, 2 or 5 times a power of ten. @param {number} value */
export function niceFloor(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const k of [10, 5, 2]) if (k * power <= value * (1 + 1e-9)) return k * power;
  return power;
}

/** Bytes a second. @param {number} bytes */
export function formatRate(bytes) {
  if (!Number.isFinite(bytes)) return DASH;
  return bytes >= 1048576 ? `${(bytes / 1048576).toFixed(1)} MB/s` : `${(bytes / 1024).toFixed(bytes < 10240 ? 1 : 0)} KB/s`;
}

/** Counts in few characters. @param {number | null} value */
export function formatCount(value) {
  if (value === null || !Number.isFinite(value)) return DASH;
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(value >= 1e8 ? 0 : 1)}M`;
  if (Math.abs(value) >= 1e4) return `${(value / 1e3).toFixed(value >= 1e5 ? 0 : 1)}k`;
  return value.toFixed(0);
}
