// @ts-check
/**
 * The socket: connects, reconnects after 250 ms × 2ⁿ with jitter (10 s at most), decodes, acknowledges every 500 ms,
 * and gives up on a silent server. What the messages mean is the business of market.js.
 */
import { ProtocolError, decodeFrame } from './protocol.js';

const FIRST_DELAY = 250;
const LONGEST_DELAY = 10_000;
const ACK_MS = 500;
/** The server sends at least two messages a second; this long without one means it hangs. */
const SILENCE_MS = 8_000;

/** Close codes of docs/STREAM.md, in words. @type {Record<number, string>} */
const REASONS = {
  1001: 'the server stopped',
  1009: 'the server found a message too big',
  4400: 'the server refused a message of this page; reload it',
  4408: 'this page fell too far behind',
  4429: 'too many pages are open or too many commands were sent',
};

/** Delay before try n (0, 1, …), ms. @param {number} attempt @param {number} random 0…1 */
export function reconnectDelay(attempt, random) {
  const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** Math.min(attempt, 10));
  return Math.min(LONGEST_DELAY, delay * (0.75 + 0.5 * random));
}

/**
 * @typedef {'connecting' | 'open' | 'waiting' | 'refused' | 'incompatible'} FeedState
 * @typedef {object} FeedHandlers
 * @property {(frame: import('./protocol.js').Frame) => void} onFrame
 * @property {(message: import('./types.js').Message) => void} onMessage
 * @property {() => void} onState
 * @property {() => {seq: number, col: number} | null} ackOf  what to acknowledge, null for nothing
 */

export class Feed {
  /** @param {string} url @param {string} healthUrl @param {FeedHandlers} handlers */
  constructor(url, healthUrl, handlers) {
    this.url = url;
    this.healthUrl = healthUrl;
    this.handlers = handlers;
    /** @type {FeedState} */
    this.state = 'connecting';
    /** Why the connection is down, in a few words. */
    this.reason = '';
    this.attempt = 0;
    /** performance.now() of the next try. */
    this.retryAt = 0;
    this.heardAt = performance.now();
    /** @type {WebSocket | null} */
    this.socket = null;
    this.stats = { frames: 0, messages: 0, bytes: 0, connects: 0, drops: 0, decodeMs: 0, bad: 0 };
    window.setInterval(() => this.#tick(), ACK_MS);
    window.addEventListener('online', () => this.retryNow());
    this.#open();
  }

  /** @param {FeedState} state @param {string} reason */
  #set(state, reason) {
    this.state = state;
    this.reason = reason;
    this.handlers.onState();
  }

  #open() {
    this.#set('connecting', this.reason);
    const socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.heardAt = performance.now();
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.stats.connects++;
      this.heardAt = performance.now();
      this.#set('open', '');
    };
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (opened) this.stats.drops++;
      const reason = event.reason || REASONS[event.code] || (opened ? 'the connection broke' : 'no server answers');
      if (this.state === 'incompatible') return;
      this.#retryLater(reason);
      if (!opened) void this.#askWhy();
    };
  }

  /** @param {string} reason */
  #retryLater(reason) {
    const delay = reconnectDelay(this.attempt++, Math.random());
    this.retryAt = performance.now() + delay;
    this.#set('waiting', reason);
    window.setTimeout(() => {
      if (this.state === 'waiting' || this.state === 'refused') this.#open();
    }, delay);
  }

  /** A refused upgrade tells a script nothing; an ordinary request does. */
  async #askWhy() {
    try {
      const answer = await fetch(this.healthUrl, { cache: 'no-store' });
      if ((answer.status === 401 || answer.status === 403) && this.state === 'waiting') {
        this.#set('refused', 'open the address the server printed: it carries the token');
      }
    } catch {
      // No answer either: "no server answers" already stands on the page.
    }
  }

  /** @param {string | ArrayBuffer} data */
  #take(data) {
    this.heardAt = performance.now();
    this.attempt = 0;
    try {
      if (typeof data === 'string') {
        this.stats.messages++;
        this.stats.bytes += data.length;
        this.handlers.onMessage(JSON.parse(data));
      } else {
        this.stats.frames++;
        this.stats.bytes += data.byteLength;
        const frame = decodeFrame(data);
        this.handlers.onFrame(frame);
        this.stats.decodeMs += performance.now() - this.heardAt;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError) && !(error instanceof SyntaxError)) throw error;
      this.stats.bad++;
      this.#set('incompatible', `${error.message}. Reload the page`);
      this.socket?.close(1000);
    }
  }

  #tick() {
    if (this.state !== 'open') return;
    const ack = this.handlers.ackOf();
    if (ack !== null) this.send({ cmd: 'ack', ...ack });
    if (performance.now() - this.heardAt > SILENCE_MS) {
      this.socket?.close(4000);
      // A dead peer never answers the close; do not wait for it.
      const socket = this.socket;
      this.socket = null;
      if (socket !== null) socket.onmessage = socket.onclose = null;
      this.stats.drops++;
      this.#retryLater('the server went silent');
    }
  }

  /** Skip the wait (the machine is back online, or the user asks). */
  retryNow() {
    if (this.state === 'waiting' || this.state === 'refused') this.#open();
  }

  /** @param {import('./types.js').Command} command @returns {boolean} false when there is no connection */
  send(command) {
    if (this.socket === null || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(command));
    return true;
  }
}
