// @ts-check
/** Measurements the browser tests take inside the page; added before its own scripts run. */
(() => {
  const d = () => /** @type {any} */ (window).__depthscope;
  /** @type {string[]} */
  const violations = [];
  document.addEventListener('securitypolicyviolation', (e) => violations.push(`${e.violatedDirective} ${e.blockedURI}`));

  /** Different colours on a canvas. @param {string} id */
  function colours(id) {
    const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById(id));
    const context = canvas.getContext('2d');
    if (context === null) return 0;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 0) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    return seen.size;
  }

  /** The page has its history and has drawn it. */
  function ready() {
    return Boolean(d()?.store && d().store.head > 0 && d().perf.draws > 0 && !d().app.market.filling);
  }

  /** Counters so far: two of these make a rate. */
  function counters() {
    const { perf, app } = d();
    return {
      at: performance.now(), updates: perf.updates, frames: perf.frames,
      ms: perf.chartMs + perf.panelMs + perf.textMs + app.feed.stats.decodeMs,
    };
  }

  /** Best bid and ask of the newest column that has both, in ticks. */
  function quotes() {
    const { store } = d();
    const slot = store.slot(store.lastQuoted(store.head));
    return [store.bid[slot], store.ask[slot]];
  }

  /** Columns missing between the oldest and the newest. */
  function holes() {
    const { store } = d();
    let missing = 0;
    for (let c = store.oldest; c <= store.head; c++) if (!store.has(c)) missing++;
    return missing;
  }

  /** Largest relative difference of the coarse columns from the maximum of their fine ones, over some cells; Infinity without cells. */
  function coarseError() {
    const { fine, coarse } = d().app.market;
    const ratio = coarse.ms / fine.ms;
    let worst = 0;
    let cells = 0;
    for (let c = coarse.head - 12; c < coarse.head - 2; c++) {
      for (let k = 0; k < coarse.levels; k += 3) {
        const tick = coarse.base[coarse.slot(c)] + k * coarse.row;
        let most = NaN;
        for (let f = c * ratio; f < (c + 1) * ratio; f++) {
          const v = fine.at(f, tick);
          if (!(most >= v)) most = v;
        }
        if (Number.isNaN(most)) continue;
        cells++;
        worst = Math.max(worst, Math.abs(most - coarse.at(c, tick)) / (most + coarse.lot));
      }
    }
    return cells > 100 ? worst : Infinity;
  }

  /** Rows of the table for screen readers, thin spaces taken out. */
  function table() {
    const rows = /** @type {NodeListOf<HTMLTableRowElement>} */ (document.querySelectorAll('#book-table tbody tr'));
    return [...rows].map((r) => [...r.cells].map((c) => (c.textContent ?? '').replace(/\u2009/g, '')));
  }

  /** Controls without a name for a screen reader. */
  function unnamed() {
    const all = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('button, select, input, canvas'));
    return [...all]
      .filter((e) => !e.closest('dialog, [hidden]') && e.getAttribute('aria-hidden') !== 'true')
      .filter((e) => !e.getAttribute('aria-label') && !e.textContent?.trim() && !e.labels?.length && !e.title)
      .map((e) => e.id);
  }

  /** What sticks out, overlaps or is cut. */
  function clipped() {
    const bad = [];
    const root = document.documentElement;
    if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) bad.push('the page scrolls');
    for (const bar of ['top', 'bottom']) {
      const all = /** @type {HTMLElement} */ (document.getElementById(bar));
      const edge = all.getBoundingClientRect();
      let last = -1;
      for (const e of all.children) {
        const r = e.getBoundingClientRect();
        if (r.width === 0) continue;
        const name = `${bar}: ${e.id || e.className}`;
        if (r.right > edge.right + 1) bad.push(`${name} sticks out`);
        if (r.left < last - 1) bad.push(`${name} overlaps`);
        if (e.scrollWidth > e.clientWidth + 1 && e.tagName !== 'DETAILS' && getComputedStyle(e).display !== 'inline') bad.push(`${name} is cut`);
        last = r.right;
      }
    }
    for (const e of document.querySelectorAll('#side td, #side th, #side dd, #side h2, #ladder h2')) {
      if (e.scrollWidth > e.clientWidth + 1) bad.push(`cut: ${e.textContent}`);
    }
    return bad;
  }

  /** Set an input and tell the page as a user would. @param {string} id @param {number | string} value @param {...string} events */
  function put(id, value, ...events) {
    const input = /** @type {HTMLInputElement} */ (document.getElementById(id));
    input.value = String(value);
    for (const event of events) input.dispatchEvent(new Event(event));
  }

  /** What the crosshair says. */
  async function crosshair() {
    const module = await import(/** @type {any} */ (new URL('js/crosshair.js', location.href).href));
    return module.describePoint(d().app.renderer.crossInput());
  }

  Object.assign(window, { __probe: { violations, colours, ready, counters, quotes, holes, coarseError, table, unnamed, clipped, put, crosshair } });
})();
