// @ts-check
/** A rough random market for working on the page without the Python server. Not for tests of figures. */

const SPAN = 8192;

/** @param {number} seed */
export function randomFrom(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class DevMarket {
  /** @param {{id: number, name: string, tick: string, mid: number, lot: number, levels: number, decimals: number, seed: number}} o */
  constructor(o) {
    Object.assign(this, o);
    this.o = o;
    this.random = randomFrom(o.seed);
    this.low = Math.round(o.mid) - SPAN / 2;
    this.mid = o.mid;
    this.speed = 0;
    this.rest = new Float64Array(SPAN);
    this.target = new Float64Array(SPAN);
    for (let i = 0; i < SPAN; i++) this.target[i] = this.fresh();
    for (let i = 0; i < SPAN / 30; i++) this.target[Math.floor(this.random() * SPAN)] = this.wall();
    this.rest.set(this.target);
    this.cvd = 0;
    this.seq = 0;
    this.base = Math.round(o.mid) - o.levels / 2;
    /** @type {any[]} */
    this.columns = [];
    this.first = 0;
    this.bid = 0;
    this.ask = 0;
    this.stale = false;
  }

  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.random())) * Math.cos(2 * Math.PI * this.random());
  }

  fresh() {
    return -Math.log(1 - this.random()) * 14 * this.o.lot;
  }

  wall() {
    return (70 + 60 / Math.sqrt(1 - this.random())) * this.o.lot;
  }

  /** One column further. */
  step() {
    const { o } = this;
    this.speed = 0.975 * this.speed + this.normal() * 0.004;
    this.mid += this.speed + this.normal() * 0.05;
    const m = Math.floor(this.mid) - this.low;
    if (this.random() < 0.05) {
      const k = m + Math.round(this.normal() * 45);
      this.target[k] = this.random() < 0.3 ? this.wall() : this.fresh();
    }
    for (let k = m - 140; k < m + 140; k++) {
      this.rest[k] = Math.max(0, this.rest[k] + 0.06 * (this.target[k] - this.rest[k]) + this.normal() * 0.8 * o.lot);
    }
    this.bid = Math.floor(this.mid);
    this.ask = this.bid + 1 + (this.random() < 0.15 ? 1 : 0);
    /** @type {import('./encoder.mjs').TradeIn[]} */
    const trades = [];
    const burst = this.random() < 0.04;
    for (let n = Math.floor(-Math.log(1 - this.random()) * (burst ? 8 : 0.8)); n > 0; n--) {
      const buy = this.random() < 0.5 + 0.4 * Math.tanh(this.speed * 25);
      const size = Math.ceil(3 / (1 - this.random()) ** 0.75) * o.lot;
      this.cvd += buy ? size : -size;
      trades.push({ col: this.first + this.columns.length, tick: buy ? this.ask : this.bid, size, seq: ++this.seq, side: buy ? 1 : 2 });
    }
    if (Math.abs(this.bid - this.base - o.levels / 2) > o.levels * 0.15) this.base = this.bid - o.levels / 2;
    const sizes = new Float32Array(o.levels);
    if (!this.stale) {
      for (let k = 0; k < o.levels; k++) {
        const tick = this.base + k;
        const v = Math.floor(this.rest[tick - this.low] / o.lot) * o.lot;
        sizes[k] = tick > this.bid && tick < this.ask ? 0 : tick === this.bid || tick === this.ask ? Math.max(o.lot, v) : v;
      }
    }
    let b = 0;
    let a = 0;
    for (let k = 0; k < 5; k++) {
      b += sizes[this.bid - this.base - k];
      a += sizes[this.ask - this.base + k];
    }
    const column = {
      base: this.base,
      bid: this.stale ? -2147483648 : this.bid,
      ask: this.stale ? -2147483648 : this.ask,
      cvd: this.cvd, imbalance: (b - a) / (b + a), ofi: Math.round(this.normal() * 20 + this.speed * 400) * o.lot, sizes, trades,
    };
    this.columns.push(column);
    if (this.columns.length > 30_000) {
      this.columns.splice(0, 6000);
      this.first += 6000;
    }
    return column;
  }

  get head() {
    return this.first + this.columns.length - 1;
  }

  /** Columns of a resolution, oldest first. @param {number} ratio @param {number} from @param {number} to */
  range(ratio, from, to) {
    /** @type {any[]} */
    const out = [];
    /** @type {any[]} */
    const trades = [];
    for (let c = Math.max(from, Math.ceil(this.first / ratio)); c <= to; c++) {
      const part = this.columns.slice(c * ratio - this.first, (c + 1) * ratio - this.first);
      if (part.length === 0) break;
      const last = part[part.length - 1];
      const sizes = new Float32Array(last.sizes.length);
      for (const p of part) {
        for (let k = 0; k < sizes.length; k++) {
          const v = p.sizes[k + last.base - p.base];
          if (v > sizes[k]) sizes[k] = v;
        }
        for (const t of p.trades) trades.push({ ...t, col: c });
      }
      out.push({ ...last, sizes, ofi: part.reduce((s, p) => s + p.ofi, 0) });
    }
    return { columns: out, trades, first: Math.max(from, Math.ceil(this.first / ratio)) };
  }
}
