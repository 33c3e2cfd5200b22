// @ts-check
/** One sentence on the state of things: what the badge says, and what stands over the heatmap when there is nothing to draw. No DOM. */
import { DASH, formatCount } from './format.js';

/**
 * @typedef {'live' | 'syncing' | 'stale' | 'connecting' | 'offline' | 'history' | 'failed'} StatusKind
 * @typedef {object} Status
 * @property {StatusKind} kind
 * @property {string} text  of the badge
 * @property {string} detail  why, for the tooltip and the overlay
 */

/** Shapes, so that colour does not speak alone. @type {Record<StatusKind, string>} */
export const MARKS = { live: '●', syncing: '◌', stale: '▲', connecting: '◌', offline: '✕', history: '■', failed: '✕' };

/**
 * @param {object} o
 * @param {import('./feed.js').FeedState} o.feed
 * @param {string} o.reason  why the feed is down
 * @param {number} o.retrySeconds  until the next try
 * @param {import('./types.js').Hello | null} o.hello
 * @param {import('./types.js').SessionMessage | null} o.session
 * @param {import('./types.js').Info | null} o.info
 * @param {boolean} o.filling
 * @param {boolean} o.empty  no column held
 * @param {boolean} [o.crossed]  the newest column's bids are above its asks
 * @param {import('./types.js').SymbolInfo | null} o.symbol
 * @returns {Status}
 */
export function describeStatus(o) {
  const { hello, session, info } = o;
  if (o.feed === 'incompatible') return { kind: 'failed', text: 'CANNOT READ', detail: o.reason };
  if (o.feed === 'refused') return { kind: 'failed', text: 'NOT ALLOWED', detail: o.reason };
  if (o.feed === 'waiting') {
    const when = o.retrySeconds >= 1 ? `trying again in ${Math.ceil(o.retrySeconds)} s` : 'trying again';
    return { kind: 'offline', text: 'DISCONNECTED', detail: `${o.reason}; ${when}` };
  }
  // A retry under way is still a lost connection: the badge must not blink between the two.
  if (o.feed === 'connecting' && o.reason !== '') return { kind: 'offline', text: 'DISCONNECTED', detail: `${o.reason}; trying again` };
  if (o.feed === 'connecting' || hello === null) return { kind: 'connecting', text: 'CONNECTING', detail: 'connecting to the server' };
  const state = session?.state ?? hello.state;
  const warm = session?.warm ?? hello.warm;
  if (state === 'failed') return { kind: 'failed', text: 'FAILED', detail: session?.error ?? hello.error ?? 'the source failed' };
  if (state === 'warming') {
    return { kind: 'connecting', text: 'PREPARING', detail: warm ? `${warm.stage} (${warm.done} of ${warm.of})` : 'compiling the kernels' };
  }
  if (state === 'connecting') return { kind: 'connecting', text: 'OPENING', detail: 'opening the market data source' };
  if (hello.symbols.length === 0) return { kind: 'syncing', text: 'WAITING', detail: 'no instrument has appeared yet' };
  if (state === 'seeking') return { kind: 'syncing', text: 'SEEKING', detail: 'processing everything up to the chosen time' };
  if (o.empty && o.filling) return { kind: 'syncing', text: 'LOADING', detail: 'loading history' };
  const error = session?.error ?? hello.error ?? null;
  if (state === 'ended' && error !== null) return { kind: 'stale', text: 'ENDED EARLY', detail: error };
  if (state === 'ended') return { kind: 'history', text: 'HISTORY ONLY', detail: 'end of the recording: nothing more will come' };
  if (info === null) return { kind: 'syncing', text: 'LOADING', detail: 'waiting for the first figures of this symbol' };
  const partial = info.incomplete ? ' · incomplete' : '';
  const why = info.incomplete ? 'the stream began in the middle: orders placed before are unknown' : '';
  switch (info.state) {
    case 'LIVE':
      if (o.crossed) return { kind: 'syncing', text: `BOOK CROSSED${partial}`, detail: 'bids are above asks: an auction, or the market does not trade' };
      return { kind: 'live', text: `BOOK LIVE${partial}`, detail: why || 'the book is complete and in step with the feed' };
    case 'SYNCING':
      if (o.symbol !== null && !hasQuotes(o.symbol)) return { kind: 'history', text: 'TRADES ONLY', detail: 'this data holds neither quotes nor orders: there is no book' };
      return { kind: 'syncing', text: `SYNCING${partial}`, detail: info.stateReason ?? 'waiting for a snapshot of the book' };
    case 'STALE':
      return { kind: 'stale', text: 'STALE', detail: info.stateReason ?? 'the feed lost messages: the book cannot be trusted' };
    case 'WAITING':
      return { kind: 'syncing', text: 'WAITING', detail: 'no event of this symbol yet' };
  }
}

/** Whether the feed tells at least the best bid and ask. @param {import('./types.js').SymbolInfo} symbol */
function hasQuotes(symbol) {
  return symbol.capabilities.some((c) => c === 'L1' || c === 'L2' || c === 'MBO');
}

/**
 * What the capabilities leave out, in words; empty when the feed has all the page shows.
 * @param {import('./types.js').SymbolInfo} symbol
 */
export function missingCapabilities(symbol) {
  const has = new Set(symbol.capabilities);
  const missing = [];
  if (!hasQuotes(symbol)) missing.push('trades only: no quotes, no depth');
  else if (!has.has('L2') && !has.has('MBO')) missing.push('no depth: only the best bid and ask');
  if (!has.has('TRADES')) missing.push('no trades');
  else if (!has.has('AGGRESSOR')) missing.push('aggressor sides are inferred');
  return missing;
}

/** Session phases in words. @type {Record<string, string>} */
const PHASES = {
  '24/7': '24 / 7', RTH: 'REGULAR HOURS', ETH: 'EXTENDED HOURS', BREAK: 'BREAK', PRE: 'PRE-MARKET', POST: 'AFTER HOURS', CLOSED: 'CLOSED',
};

/** @param {import('./types.js').Info | null} info @returns {{text: string, warn: boolean}} */
export function describePhase(info) {
  const session = info?.session ?? null;
  if (session === null || session.phase === null) return { text: '', warn: false };
  return { text: `${session.extended ? '⚠ ' : ''}${PHASES[session.phase] ?? session.phase}`, warn: session.extended };
}

/** Sum of the counters that tell of trouble, and their lines. @param {Record<string, number>} counters */
export function bookIssues(counters) {
  // Plain tallies are no trouble; everything else the engine counts is something it had to work round.
  const tallies = /^(events|groups|adds|cancels|modifies|trades|fills|levels|orders|live_orders|rows|messages|records|applied|clears|snapshots|status)$/;
  const lines = Object.entries(counters).filter(([name, n]) => n > 0 && !tallies.test(name));
  return { total: lines.reduce((s, [, n]) => s + n, 0), lines };
}

/** What the book is worth, in a word or the number of things it had to work round. @param {import('./types.js').Info | null} info */
export function bookVerdict(info) {
  if (info === null || info.state === 'WAITING' || info.state === 'SYNCING') return DASH;
  const { total } = bookIssues(info.counters);
  if (total > 0) return `⚠ ${formatCount(total)}`;
  return info.incomplete ? '⚠ incomplete' : '✓ exact';
}
