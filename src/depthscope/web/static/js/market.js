// @ts-check
/**
 * What the page knows of the market: the symbol followed, its columns at the finest resolution and, when zoomed out, at a coarser one.
 * Turns frames and messages into that state and decides what to subscribe to. No DOM.
 */
import { ColumnStore } from './store.js';
import { ProtocolError, VERSION } from './protocol.js';

/** @typedef {import('./types.js').SymbolInfo} SymbolInfo */
/** @typedef {import('./protocol.js').Frame} Frame */

/** Columns asked for: what the ring holds less some room for those that arrive meanwhile. */
const MOST_COLUMNS = 4000;

export class Market {
  /** @param {(command: import('./types.js').Command) => boolean} send */
  constructor(send) {
    this.send = send;
    /** @type {import('./types.js').Hello | null} */
    this.hello = null;
    /** @type {import('./types.js').SessionMessage | null} */
    this.session = null;
    /** @type {import('./types.js').Info | null} */
    this.info = null;
    /** @type {import('./types.js').SignalMessage | null} */
    this.signal = null;
    /** Newest first. @type {import('./types.js').Alert[]} */
    this.alerts = [];
    /** @type {SymbolInfo | null} */
    this.symbol = null;
    /** Name to pick when it appears (from the settings). */
    this.wanted = '';
    /** Columns at resolution 0. @type {ColumnStore | null} */
    this.fine = null;
    /** Exact ticks round the mid where a level of `fine` is wider than a tick, else null. @type {ColumnStore | null} */
    this.exact = null;
    /** Columns at 1 or 2, once filled. @type {ColumnStore | null} */
    this.coarse = null;
    /** A coarse store being filled. @type {ColumnStore | null} */
    this.pending = null;
    /** Resolution the server was last asked for; null after a disconnect. @type {number | null} */
    this.subscribed = null;
    this.epoch = 0;
    /** Epoch the columns held belong to: it goes with `since`, and an old one makes the server send everything. */
    this.columnsEpoch = 0;
    /** Newest server tick taken on this connection, 0 before the first. */
    this.seq = 0;
    /** Frames are ignored while the view is frozen. */
    this.frozen = false;
    /** True from a subscription to its last chunk. */
    this.filling = false;
    /** True between the first and the last chunk of a full fill of the finest store. */
    this.openFill = false;
    /** Counts of things that went wrong and were mended. */
    this.repairs = { gapFills: 0, resets: 0, foreign: 0 };
    /** @type {import('./types.js').ErrorMessage | null} */
    this.lastError = null;
    /** @type {Set<(store: ColumnStore, first: number, end: number) => void>} */
    this.onColumns = new Set();
    /** @type {Set<() => void>} */
    this.onSymbol = new Set();
  }

  get originMs() {
    return this.hello?.originMs ?? 0;
  }

  get mode() {
    return this.session?.mode ?? this.hello?.mode ?? null;
  }

  /** Resolution-r facts from `hello`. @param {number} res */
  resolution(res) {
    return this.hello?.res.find((r) => r.id === res) ?? null;
  }

  /** End of the newest column, ms since origin; NaN before the first. */
  get nowMs() {
    return this.fine !== null && this.fine.head >= 0 ? (this.fine.head + 1) * this.fine.ms : NaN;
  }

  /** Store whose levels are single ticks: for ladder, depth and impact. It may be empty while `fine` is not. */
  get near() {
    return this.exact ?? this.fine;
  }

  /** Store for a resolution, the finest when that one is not there (yet). @param {number} res */
  storeFor(res) {
    return res > 0 && this.coarse !== null && this.coarse.res === res ? this.coarse : this.fine;
  }

  /** The connection is gone: the next hello subscribes again. */
  disconnected() {
    this.subscribed = null;
    this.pending = null;
    this.filling = false;
    this.seq = 0;
  }

  /** @param {import('./types.js').Message} message */
  take(message) {
    switch (message.t) {
      case 'hello':
        this.#takeHello(message);
        break;
      case 'session':
        this.session = message;
        break;
      case 'info':
        if (message.sym === this.symbol?.id) this.info = message;
        break;
      case 'signal':
        if (message.sym === this.symbol?.id) this.signal = message;
        break;
      case 'alerts':
        if (message.sym === this.symbol?.id) this.alerts = message.list;
        break;
      case 'reset':
        this.#reset(message.epoch);
        break;
      case 'error':
        this.lastError = message;
        break;
      case 'pong':
        break;
    }
  }

  /** @param {import('./types.js').Hello} hello */
  #takeHello(hello) {
    if (hello.v !== VERSION) throw new ProtocolError(`the server speaks version ${hello.v}; this page version ${VERSION}`);
    this.hello = hello;
    this.epoch = hello.epoch;
    const previous = this.symbol;
    const next =
      hello.symbols.find((s) => previous !== null && s.name === previous.name && s.venue === previous.venue) ??
      hello.symbols.find((s) => s.name === this.wanted) ??
      hello.symbols[0] ??
      null;
    if (next === null || hello.originMs === null) return;
    const changed =
      previous === null || this.fine === null || previous.id !== next.id || previous.levels !== next.levels ||
      previous.lot !== next.lot || (previous.row ?? 1) !== (next.row ?? 1);
    if (changed) this.#open(next);
    else this.symbol = next;
    if (this.subscribed === null || (changed && previous !== null)) this.#subscribe(0);
    for (const listener of this.onSymbol) listener();
  }

  #forget() {
    this.info = null;
    this.signal = null;
    this.alerts = [];
  }

  /** @param {SymbolInfo} symbol */
  #open(symbol) {
    const fine = this.resolution(0);
    this.symbol = symbol;
    this.#forget();
    this.columnsEpoch = this.epoch;
    this.coarse = null;
    this.pending = null;
    const row = symbol.row ?? 1;
    const ms = fine?.ms ?? 50;
    this.fine = new ColumnStore(0, ms, symbol.levels, Number(symbol.lot), row);
    this.exact = row > 1 ? new ColumnStore(0, ms, symbol.levels, Number(symbol.lot)) : null;
    this.fine.listeners.add((first, end) => this.#fineChanged(first, end));
  }

  /** @param {number} res */
  #subscribe(res) {
    if (this.symbol === null || this.fine === null) return;
    const facts = this.resolution(res);
    const held = res === 0 && this.fine.head >= 0;
    const sent = this.send({
      cmd: 'sub', symbol: this.symbol.id, res,
      epoch: held ? this.columnsEpoch : this.epoch,
      since: held ? this.fine.head : null,
      cols: Math.min(facts?.cols ?? MOST_COLUMNS, MOST_COLUMNS),
    });
    if (!sent) return;
    if (held) this.repairs.gapFills++;
    this.subscribed = res;
    this.filling = true;
    this.openFill = false;
  }

  /** Follow another symbol. @param {number} id */
  pick(id) {
    const symbol = this.hello?.symbols.find((s) => s.id === id);
    if (symbol === undefined || symbol.id === this.symbol?.id) return;
    this.wanted = symbol.name;
    this.frozen = false;
    this.#open(symbol);
    this.#subscribe(0);
    for (const listener of this.onSymbol) listener();
  }

  /** Make columns of a resolution available; 0 lets a coarse store go. @param {number} res */
  want(res) {
    if (res === 0) {
      this.coarse = null;
      if (this.pending !== null) this.#backToFine();
      return;
    }
    if (this.coarse?.res === res || this.pending?.res === res || this.frozen) return;
    const facts = this.resolution(res);
    // One fill at a time: a coarse one starts when the finest has arrived.
    if (facts === null || this.symbol === null || this.filling || this.subscribed !== 0) return;
    this.pending = new ColumnStore(res, facts.ms, this.symbol.levels, Number(this.symbol.lot), this.symbol.row ?? 1);
    this.#subscribe(res);
  }

  #backToFine() {
    this.pending = null;
    this.#subscribe(0);
  }

  /** Stop or go on taking frames; what was missed comes as a gap-fill. @param {boolean} frozen */
  freeze(frozen) {
    if (this.frozen === frozen) return;
    this.frozen = frozen;
    if (!frozen && this.subscribed !== null) this.#subscribe(0);
  }

  /** @param {number} epoch */
  #reset(epoch) {
    this.epoch = epoch;
    this.columnsEpoch = epoch;
    this.repairs.resets++;
    this.#forget();
    this.openFill = false;
    this.fine?.clear();
    this.exact?.clear();
    this.coarse = null;
    // A coarse fill under way is void, and the fill that follows by itself would be coarse too.
    if (this.pending !== null) this.#backToFine();
    this.filling = this.subscribed !== null;
  }

  /** @param {Frame} frame */
  apply(frame) {
    this.seq = frame.seq;
    const { fine, pending } = this;
    if (fine === null || this.symbol === null || frame.symbol !== this.symbol.id) {
      this.repairs.foreign++;
      return;
    }
    if (this.frozen) return;
    if (frame.kind === 'book') {
      this.exact?.applyBook(frame);
      return;
    }
    if (pending !== null && frame.res === pending.res) {
      if (frame.kind !== 'hist') return;
      pending.applyHist(frame);
      if (frame.last) this.#coarseFilled(pending);
      return;
    }
    if (frame.res !== 0) return;
    if (frame.kind === 'tick') {
      fine.applyTick(frame);
      return;
    }
    if (!frame.gapFill && !this.openFill) {
      fine.clear();
      this.exact?.clear();
      this.columnsEpoch = this.epoch;
      this.openFill = true;
    }
    fine.applyHist(frame);
    if (frame.last) {
      this.openFill = false;
      if (this.subscribed === 0) this.filling = false;
    }
  }
  /** @param {ColumnStore} store */
  #coarseFilled(store) {
    this.coarse = store;
    store.listeners.add((first, end) => this.#tell(store, first, end));
    this.#backToFine();
  }

  /** @param {number} first @param {number} end */
  #fineChanged(first, end) {
    const { fine, coarse } = this;
    if (fine === null) return;
    if (coarse !== null) {
      const ratio = Math.round(coarse.ms / fine.ms);
      for (let col = Math.floor(first / ratio), last = Math.floor((end - 1) / ratio); col <= last; col++) {
        // With its beginning missing, the finer history knows less than the column the server made.
        if (!fine.has(col * ratio) && coarse.has(col)) continue;
        coarse.deriveFrom(fine, col, ratio);
        const { list } = fine.trades;
        /** @type {import('./protocol.js').Trade[]} */
        const trades = [];
        for (let i = fine.trades.from(col * ratio); i < list.length && list[i].col < (col + 1) * ratio; i++) {
          trades.push({ ...list[i], col });
        }
        coarse.trades.replace(col, col + 1, trades);
      }
      coarse.trades.dropBefore(coarse.oldest);
    }
    this.#tell(fine, first, end);
  }

  /** @param {ColumnStore} store @param {number} first @param {number} end */
  #tell(store, first, end) {
    for (const listener of this.onColumns) listener(store, first, end);
  }

  /** Newest seq and column, for the acknowledgement. */
  ack() {
    if (this.fine === null || this.subscribed === null || this.seq === 0) return null;
    const store = this.pending ?? this.fine;
    return { seq: this.seq, col: Math.max(0, store.head) };
  }
}
