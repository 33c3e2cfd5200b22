// @ts-check
/**
 * The JSON messages of docs/STREAM.md, as types. No code: this file exists for the checker and the reader.
 *
 * @typedef {object} SymbolInfo
 * @property {number} id
 * @property {string} name
 * @property {string} venue
 * @property {string} tick  decimal string, price units
 * @property {string} lot  decimal string, public size units
 * @property {number} decimals  digits after the point in a price
 * @property {number} sizeDecimals  digits after the point in a size
 * @property {number} levels  levels in one column
 * @property {number} [row]  ticks of one level, 1 when absent
 * @property {string[]} capabilities
 * @property {string} calendar
 * @property {string} currency
 * @property {string} multiplier
 *
 * @typedef {{id: number, ms: number, cols: number}} Resolution
 * @typedef {{stage: string, done: number, of: number}} Warm
 * @typedef {'live' | 'replay' | 'demo'} Mode
 * @typedef {'connecting' | 'warming' | 'playing' | 'paused' | 'seeking' | 'ended' | 'failed'} SessionState
 *
 * @typedef {object} Hello
 * @property {'hello'} t
 * @property {number} v
 * @property {number} epoch
 * @property {number} hz
 * @property {Mode} mode
 * @property {SessionState} state
 * @property {string | null} origin
 * @property {number | null} originMs
 * @property {Resolution[]} res
 * @property {number} levels
 * @property {number} chunk
 * @property {SymbolInfo[]} symbols
 * @property {{startMs: number | null, endMs: number | null} | null} span
 * @property {(number | 'max')[]} speeds
 * @property {{name: string, format: string, schema: string, dataset: string} | null} source
 * @property {Warm | null} warm
 * @property {string | null} [error]
 * @property {string} server
 *
 * @typedef {object} SessionMessage
 * @property {'session'} t
 * @property {number} epoch
 * @property {Mode} mode
 * @property {SessionState} state
 * @property {number | null} tsMs
 * @property {number | 'max'} speed
 * @property {number | null} effectiveSpeed
 * @property {number | null} startMs
 * @property {number | null} endMs
 * @property {number | null} lagMs
 * @property {number | null} eventsPerSec
 * @property {number} events
 * @property {number | null} progress
 * @property {string | null} seekTo
 * @property {string | null} error
 * @property {Warm | null} warm
 * @property {number} clients
 *
 * @typedef {'SYNCING' | 'LIVE' | 'STALE' | 'WAITING'} BookState
 * @typedef {'24/7' | 'RTH' | 'ETH' | 'BREAK' | 'PRE' | 'POST' | 'CLOSED'} Phase
 *
 * @typedef {object} Info
 * @property {'info'} t
 * @property {number} sym
 * @property {number | null} tsMs
 * @property {BookState} state
 * @property {string | null} stateReason
 * @property {boolean} incomplete
 * @property {string | null} bestBid
 * @property {string | null} bestAsk
 * @property {number | null} bidSize
 * @property {number | null} askSize
 * @property {number | null} mid
 * @property {string | null} last
 * @property {number | null} spread
 * @property {number | null} spreadTicks
 * @property {number | null} spreadBps
 * @property {number | null} ofi1s
 * @property {number | null} cvd
 * @property {number | null} imbalance
 * @property {number | null} trades
 * @property {number | null} volume
 * @property {number | null} lagMs
 * @property {number | null} eventsPerSec
 * @property {Record<string, number>} counters
 * @property {{calendar: string, phase: Phase | null, extended: boolean} | null} session
 * @property {{bids: [number, number][], asks: [number, number][]} | null} [orders]  order counts by tick, MBO feeds only
 *
 * @typedef {object} SignalMessage
 * @property {'signal'} t
 * @property {number} sym
 * @property {number} tsMs
 * @property {string | null} model
 * @property {'BUY' | 'SELL' | 'NEUTRAL' | null} direction
 * @property {string | null} whyNot
 * @property {boolean} [calibrated]
 * @property {number} [horizonMs]
 * @property {number} [feeBps]
 * @property {number | null} [confidence]
 * @property {string | null} [band]
 * @property {number | null} [strength]
 * @property {number | null} [pUp]
 * @property {number | null} [pDown]
 * @property {number | null} [edgeBps]
 * @property {boolean} [extended]  outside regular hours
 * @property {'regular' | 'extended'} [baselines]  what its factors are compared with
 * @property {{factor: string, says: string, part: number}[]} [reasons]  parts of the log-odds of up against down
 *
 * @typedef {object} Alert
 * @property {string} id
 * @property {string} detector
 * @property {'open' | 'update' | 'close'} phase
 * @property {number} openedMs
 * @property {number} tsMs
 * @property {'B' | 'A' | ''} side
 * @property {number | null} price
 * @property {number} size
 * @property {number} strength
 * @property {string | null} label
 * @property {string | null} outcome
 * @property {Record<string, number>} evidence
 * @property {string[]} measured
 *
 * @typedef {{t: 'alerts', sym: number, list: Alert[]}} AlertsMessage
 * @typedef {{t: 'reset', epoch: number, reason: string}} Reset
 * @typedef {{t: 'pong', id: number}} Pong
 * @typedef {{t: 'error', code: string, message: string}} ErrorMessage
 * @typedef {Hello | SessionMessage | Info | SignalMessage | AlertsMessage | Reset | Pong | ErrorMessage} Message
 *
 * @typedef {{cmd: 'sub', symbol: number, res: number, since: number | null, epoch: number, cols: number}
 *   | {cmd: 'ack', seq: number, col: number} | {cmd: 'ping', id: number} | {cmd: 'pause'} | {cmd: 'resume'}
 *   | {cmd: 'speed', x: number | 'max'} | {cmd: 'seek', ms: number}} Command
 */

export {};
