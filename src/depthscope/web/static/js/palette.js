// @ts-check
/** Colour ramps of the heatmap and colours of the two themes. Inferno, viridis, cividis and grey rise evenly in lightness. */

/** @typedef {'inferno' | 'cividis' | 'bookmap' | 'viridis' | 'grey'} RampName */
/** @typedef {'dark' | 'light'} ThemeName */

/** @type {Record<RampName, [number, number, number][]>} */
export const RAMPS = {
  inferno: [
    [0, 0, 4], [22, 11, 57], [66, 10, 104], [106, 23, 110], [147, 38, 103], [188, 55, 84],
    [221, 81, 58], [243, 120, 25], [252, 165, 10], [246, 215, 70], [252, 255, 164],
  ],
  cividis: [
    [0, 12, 34], [0, 32, 77], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
    [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
  ],
  bookmap: [
    [3, 6, 18], [8, 24, 66], [13, 54, 120], [22, 96, 160], [46, 150, 190], [150, 190, 150],
    [248, 214, 84], [250, 168, 46], [246, 112, 34], [216, 40, 32], [255, 255, 255],
  ],
  viridis: [
    [24, 0, 34], [68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142],
    [33, 145, 140], [34, 168, 132], [68, 191, 112], [122, 209, 81], [253, 231, 37],
  ],
  grey: [[6, 7, 9], [250, 250, 250]],
};

/**
 * 256 RGBA colours, nothing first. On a light page the ramp is turned round, so that "nothing rests here" is the page itself.
 * @param {RampName} name
 * @param {ThemeName} theme
 * @returns {Uint8ClampedArray}
 */
export function buildLut(name, theme) {
  const ramp = RAMPS[name];
  /** @type {[number, number, number][]} */
  const stops = theme === 'dark' ? ramp : [[255, 255, 255], ...ramp.slice(1).reverse(), [12, 4, 22]];
  const lut = new Uint8ClampedArray(1024);
  for (let i = 0; i < 256; i++) {
    const share = (i / 255) ** 1.2;
    const x = share * (stops.length - 1);
    const k = Math.min(stops.length - 2, Math.floor(x));
    // White paper bears little colour before it looks full: the lower half is thinned with white.
    const ink = theme === 'dark' ? 1 : Math.min(1, 0.15 + share * 1.7);
    for (let c = 0; c < 3; c++) {
      const colour = stops[k][c] + (stops[k + 1][c] - stops[k][c]) * (x - k);
      lut[i * 4 + c] = 255 - (255 - colour) * ink;
    }
    lut[i * 4 + 3] = 255;
  }
  return lut;
}

/**
 * @typedef {object} Theme
 * @property {ThemeName} name
 * @property {string} bg
 * @property {string} panel
 * @property {string} line
 * @property {string} fg
 * @property {string} dim
 * @property {string} faint
 * @property {string} bid
 * @property {string} ask
 * @property {string} bidFill
 * @property {string} askFill
 * @property {string} bidBar
 * @property {string} askBar
 * @property {string} neutral
 * @property {string} accent
 * @property {string} onAccent
 * @property {string} casing  drawn under lines and dots, so that they show on any colour of the ramp
 * @property {string} grid
 * @property {[number, number, number]} unknown  a cell outside what was recorded
 */

/** @type {Record<ThemeName, Theme>} */
export const THEMES = {
  dark: {
    name: 'dark', bg: '#0a0e14', panel: '#10161f', line: '#1e2835', fg: '#e6edf3', dim: '#8b98a9', faint: '#4b5766',
    bid: '#4cc2ff', ask: '#ff9447', bidFill: 'rgba(76,194,255,.86)', askFill: 'rgba(255,148,71,.86)',
    bidBar: 'rgba(76,194,255,.26)', askBar: 'rgba(255,148,71,.26)', neutral: '#b8c0cc', accent: '#f2cc60', onAccent: '#141005',
    casing: 'rgba(4,7,12,.82)', grid: 'rgba(255,255,255,.07)', unknown: [17, 22, 30],
  },
  light: {
    name: 'light', bg: '#ffffff', panel: '#f4f6f9', line: '#d7dde5', fg: '#10161f', dim: '#55606e', faint: '#aab4c0',
    bid: '#0561b8', ask: '#bf4a06', bidFill: 'rgba(20,118,214,.86)', askFill: 'rgba(222,88,12,.86)',
    bidBar: 'rgba(20,118,214,.22)', askBar: 'rgba(222,88,12,.22)', neutral: '#5c6773', accent: '#8a6400', onAccent: '#ffffff',
    casing: 'rgba(255,255,255,.88)', grid: 'rgba(0,0,0,.09)', unknown: [238, 241, 245],
  },
};

export const FONT = '11px ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';
export const FONT_SMALL = FONT.replace('11px', '10px');
export const FONT_BOLD = `bold ${FONT}`;
