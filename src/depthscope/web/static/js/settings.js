// @ts-check
/** What the user chose, kept in localStorage. Unknown or damaged values fall back to the default one by one. */
import { RAMPS } from './palette.js';

const KEY = 'depthscope.page.v1';

/**
 * @typedef {object} SettingValues
 * @property {'dark' | 'light'} theme
 * @property {import('./palette.js').RampName} palette
 * @property {number} contrast  0…100
 * @property {number} dots  0…99, percentile below which dots are hidden
 * @property {'auto' | 'exact'} scale
 * @property {number} scaleLow  public units
 * @property {number} scaleHigh
 * @property {'now' | 'mean'} book
 * @property {number} group  ticks a row of the ladder
 * @property {number} tapeLeast
 * @property {number} impactSize  0: choose from the book
 * @property {'exchange' | 'utc' | 'local'} clock
 * @property {string} symbol
 */

/** @type {SettingValues} */
export const DEFAULTS = {
  theme: 'dark', palette: 'inferno', contrast: 50, dots: 0, scale: 'auto', scaleLow: 0, scaleHigh: 0,
  book: 'now', group: 1, tapeLeast: 0, impactSize: 0, clock: 'exchange', symbol: '',
};

/** @type {Partial<Record<keyof SettingValues, (value: any) => boolean>>} */
const VALID = {
  theme: (v) => v === 'dark' || v === 'light',
  palette: (v) => Object.hasOwn(RAMPS, v),
  contrast: (v) => v >= 0 && v <= 100,
  dots: (v) => v >= 0 && v <= 99,
  scale: (v) => v === 'auto' || v === 'exact',
  scaleLow: (v) => v >= 0,
  scaleHigh: (v) => v >= 0,
  book: (v) => v === 'now' || v === 'mean',
  group: (v) => [1, 2, 5, 10].includes(v),
  tapeLeast: (v) => v >= 0,
  impactSize: (v) => v >= 0,
  clock: (v) => v === 'exchange' || v === 'utc' || v === 'local',
};

/** Values of a stored text, each checked alone. @param {string | null} text @returns {SettingValues} */
export function parseSettings(text) {
  /** @type {Record<string, unknown>} */
  let stored = {};
  try {
    const parsed = JSON.parse(text ?? '{}');
    if (typeof parsed === 'object' && parsed !== null) stored = parsed;
  } catch {
    // Not ours or cut short: the defaults stand.
  }
  /** @type {any} */
  const values = { ...DEFAULTS };
  for (const key of /** @type {(keyof SettingValues)[]} */ (Object.keys(DEFAULTS))) {
    const value = stored[key];
    if (typeof value === typeof DEFAULTS[key] && (VALID[key]?.(value) ?? true)) values[key] = value;
  }
  return values;
}

export class Settings {
  /** @param {Storage | null} storage */
  constructor(storage) {
    this.storage = storage;
    this.values = parseSettings(storage?.getItem(KEY) ?? null);
    /** @type {Set<(key: keyof SettingValues) => void>} */
    this.listeners = new Set();
  }

  /** @template {keyof SettingValues} K @param {K} key @param {SettingValues[K]} value */
  set(key, value) {
    if (this.values[key] === value) return;
    this.values[key] = value;
    try {
      this.storage?.setItem(KEY, JSON.stringify(this.values));
    } catch {
      // Storage may be full or forbidden; the choice still holds for this page.
    }
    for (const listener of this.listeners) listener(key);
  }
}

/** localStorage where the browser allows it. @returns {Storage | null} */
export function browserStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
