// @ts-check
/** Market time as text. The zone's offset is looked up once per quarter of an hour: formatting happens hundreds of times a second. */

const QUARTER = 900_000;

/** Time zone of a trading calendar, and its usual short name. @param {string} calendar @returns {{zone: string, label: string}} */
export function exchangeZone(calendar) {
  if (/^CME|^CBOT|^NYMEX|^COMEX|^CBOE/i.test(calendar)) return { zone: 'America/Chicago', label: 'CT' };
  if (/NYSE|NASDAQ|XNYS|XNAS|^US/i.test(calendar)) return { zone: 'America/New_York', label: 'ET' };
  return { zone: 'UTC', label: 'UTC' };
}

/** Offset of a zone from UTC at a moment, ms. @param {string} zone @param {number} ms */
export function zoneOffset(zone, ms) {
  if (zone === 'UTC' || !Number.isFinite(ms)) return 0;
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric',
    hour: 'numeric', minute: 'numeric', second: 'numeric',
  }).formatToParts(ms);
  /** @param {string} type */
  const get = (type) => Number(parts.find((p) => p.type === type)?.value);
  const local = Date.UTC(get('year'), get('month') - 1, get('day'), get('hour'), get('minute'), get('second'));
  return local - Math.floor(ms / 1000) * 1000;
}

/** @param {number} value @param {number} width */
const pad = (value, width) => String(value).padStart(width, '0');

export class MarketClock {
  constructor() {
    this.zone = 'UTC';
    this.label = 'UTC';
    /** @type {Map<number, number>} */
    this.offsets = new Map();
  }

  /** @param {'exchange' | 'utc' | 'local'} choice @param {string} calendar */
  choose(choice, calendar) {
    const exchange = exchangeZone(calendar);
    const local = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
    const next =
      choice === 'utc' ? { zone: 'UTC', label: 'UTC' } : choice === 'local' ? { zone: local, label: 'local' } : exchange;
    if (next.zone !== this.zone) this.offsets.clear();
    this.zone = next.zone;
    this.label = next.label;
  }

  /** @param {number} ms */
  offset(ms) {
    const key = Math.floor(ms / QUARTER);
    let offset = this.offsets.get(key);
    if (offset === undefined) {
      offset = zoneOffset(this.zone, ms);
      this.offsets.set(key, offset);
    }
    return offset;
  }

  /** Time of day. @param {number} ms @param {0 | 1 | 2 | 3} [digits] of the fraction of a second */
  time(ms, digits = 0) {
    if (!Number.isFinite(ms)) return '--:--:--';
    return utcTime(ms + this.offset(ms), digits);
  }

  /** Hour and minute. @param {number} ms */
  minute(ms) {
    return this.time(ms).slice(0, 5);
  }

  /** @param {number} ms */
  date(ms) {
    if (!Number.isFinite(ms)) return '';
    return new Date(ms + this.offset(ms)).toISOString().slice(0, 10);
  }
}

/** Time of day in UTC. @param {number} ms @param {0 | 1 | 2 | 3} [digits] */
export function utcTime(ms, digits = 0) {
  if (!Number.isFinite(ms)) return '--:--:--';
  const unit = 10 ** (3 - digits);
  const cut = Math.floor(ms / unit) * unit;
  const day = ((cut % 86_400_000) + 86_400_000) % 86_400_000;
  const text = `${pad(Math.floor(day / 3_600_000), 2)}:${pad(Math.floor(day / 60_000) % 60, 2)}:${pad(Math.floor(day / 1000) % 60, 2)}`;
  return digits === 0 ? text : `${text}.${pad(Math.floor((day % 1000) / unit), digits)}`;
}

/** A duration: 0.35 s, 42 s, 5 m 20 s, 3 h 12 m. @param {number} ms */
export function formatSpan(ms) {
  const s = Math.abs(ms) / 1000;
  if (s < 10) return `${s.toFixed(s < 1 ? 2 : 1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  const total = Math.round(s);
  if (s < 7200) return `${Math.floor(total / 60)} m ${pad(total % 60, 2)} s`;
  return `${Math.floor(total / 3600)} h ${pad(Math.floor(total / 60) % 60, 2)} m`;
}

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];

/** Distance of time labels, ms. @param {number} span ms on show @param {number} most labels that fit */
export function timeStep(span, most) {
  for (const s of STEPS) if (span / (s * 1000) <= most) return s * 1000;
  return 28_800_000;
}
