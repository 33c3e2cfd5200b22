// @ts-check
/** Counts and times of the page itself: shown in the footer, read by the tests. */

export class Perf {
  constructor() {
    this.frames = 0;
    /** Column updates taken. */
    this.updates = 0;
    this.draws = 0;
    this.panels = 0;
    this.chartMs = 0;
    this.panelMs = 0;
    this.longestMs = 0;
    this.heatMs = 0;
    this.overlayMs = 0;
    this.columnsMs = 0;
    this.stripsMs = 0;
    this.ladderMs = 0;
    this.sideMs = 0;
    this.textMs = 0;
    /** Milliseconds from navigation to the first painted column, 0 before. */
    this.firstPaintMs = 0;
    this.rate = { fps: 0, updates: 0, msPerUpdate: 0, bytes: 0 };
    /** @private */
    this.mark = { at: performance.now(), frames: 0, updates: 0, ms: 0, bytes: 0 };
  }

  /** Once a second: what happened since. @param {number} bytes received so far @param {number} decodeMs spent decoding so far */
  settle(bytes, decodeMs) {
    const at = performance.now();
    const seconds = (at - this.mark.at) / 1000;
    const ms = this.chartMs + this.panelMs + this.textMs + decodeMs;
    const updates = this.updates - this.mark.updates;
    this.rate = {
      fps: (this.frames - this.mark.frames) / seconds,
      updates: updates / seconds,
      msPerUpdate: updates > 0 ? (ms - this.mark.ms) / updates : 0,
      bytes: (bytes - this.mark.bytes) / seconds,
    };
    this.mark = { at, frames: this.frames, updates: this.updates, ms, bytes };
  }
}
