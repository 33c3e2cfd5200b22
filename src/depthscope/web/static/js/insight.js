// @ts-check
/** What the model and the detectors say: direction, odds and reasons; alerts that open to their evidence. */
import { formatExact, formatFixed } from './format.js';
import { element, setText } from './surface.js';

/** @typedef {import('./app.js').App} App */
/** @typedef {import('./types.js').Alert} Alert */

/** Log-odds that fill a reason's bar. */
const FULL = 1;
const GLYPH = { BUY: '▲', SELL: '▼', NEUTRAL: '■' };

/** @param {number | null | undefined} share */
const percent = (share) => (share === null || share === undefined ? '–' : `${Math.round(share * 100)} %`);

/** Words of an alert's line. @param {Alert} alert */
export function alertWords(alert) {
  const words = [alert.detector.replaceAll('_', ' ')];
  if (alert.label !== null) words.push(alert.label.toLowerCase().replaceAll('_', ' '));
  if (alert.outcome !== null) words.push(alert.outcome);
  return words.join(' · ');
}

export class Insight {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.list = element('alerts', HTMLElement);
    this.spoken = '';
  }

  showSignal() {
    const { signal } = this.app.market;
    const box = element('signal-box', HTMLElement);
    box.hidden = signal === null || signal.model === null;
    if (signal === null || signal.model === null) return;
    const { direction } = signal;
    box.dataset.direction = direction ?? '';
    const label = element('signal-model', HTMLElement);
    setText(label, `${formatFixed((signal.horizonMs ?? 0) / 1000, 0)} s ahead${signal.extended ? ' · extended hours' : ''}`);
    label.title = signal.extended && signal.baselines === 'regular' ? 'Judged by regular hours: the model has no baselines of extended hours' : '';
    const sure = element('signal-sure', HTMLElement);
    setText(sure, signal.calibrated ? 'calibrated' : 'uncalibrated');
    sure.dataset.warn = signal.calibrated ? '0' : '1';
    sure.title = signal.calibrated
      ? `Model ${signal.model}: its percentages held on data it had not seen`
      : `Model ${signal.model}: a ranking, not frequencies`;
    const word = direction === null ? 'no signal' : `${GLYPH[direction]} ${direction} ${percent(signal.confidence)}`;
    setText(element('signal-word', HTMLElement), word);
    const odds = direction === null ? (signal.whyNot ?? '') : `▲ ${percent(signal.pUp)}  ▼ ${percent(signal.pDown)}  edge ${formatFixed(signal.edgeBps ?? NaN, 2)} bps`;
    setText(element('signal-odds', HTMLElement), odds);
    this.#showReasons(signal.reasons ?? []);
  }

  /** @param {{factor: string, says: string, part: number}[]} reasons */
  #showReasons(reasons) {
    const list = element('reasons', HTMLElement);
    while (list.children.length > reasons.length) list.lastElementChild?.remove();
    reasons.forEach(({ says, part, factor }, i) => {
      let item = /** @type {HTMLElement | undefined} */ (list.children[i]);
      if (item === undefined) {
        item = list.appendChild(document.createElement('li'));
        for (const name of ['says', 'bar', 'part']) item.appendChild(document.createElement('span')).className = name;
      }
      item.title = `${factor}: its part in the log-odds of up against down`;
      item.dataset.sign = part < 0 ? '-1' : '1';
      setText(item.children[0], says);
      /** @type {HTMLElement} */ (item.children[1]).style.setProperty('--part', String(Math.min(1, Math.abs(part) / FULL)));
      setText(item.children[2], `${part < 0 ? '▼' : '▲'} ${Math.abs(part).toFixed(2)}`);
    });
  }

  showAlerts() {
    const { alerts, symbol, signal } = this.app.market;
    const box = element('alerts-box', HTMLElement);
    box.hidden = signal === null || signal.model === null;
    setText(element('alerts-count', HTMLElement), alerts.length > 0 ? `newest ${alerts.length}` : 'none yet');
    if (symbol === null) return;
    const held = new Map([...this.list.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.id, /** @type {HTMLElement} */ (child)]));
    const ids = new Set(alerts.map((alert) => alert.id));
    for (const [id, child] of held) if (id !== undefined && !ids.has(id)) child.remove();
    alerts.forEach((alert, i) => {
      const row = held.get(alert.id) ?? this.#row(alert);
      if (this.list.children[i] !== row) this.list.insertBefore(row, this.list.children[i] ?? null);
      this.#fill(row, alert, symbol);
    });
  }

  /** @param {Alert} alert */
  #row(alert) {
    const row = document.createElement('details');
    row.dataset.id = alert.id;
    const line = row.appendChild(document.createElement('summary'));
    for (const name of ['glyph', 'what', 'price', 'size', 'when']) line.appendChild(document.createElement('span')).className = name;
    row.appendChild(document.createElement('dl'));
    return row;
  }

  /** @param {HTMLElement} row @param {Alert} alert @param {import('./types.js').SymbolInfo} symbol */
  #fill(row, alert, symbol) {
    const stamp = `${alert.phase} ${alert.tsMs}`;
    if (row.dataset.stamp === stamp) return;
    row.dataset.stamp = stamp;
    row.dataset.side = alert.side;
    row.dataset.closed = alert.phase === 'close' ? '1' : '0';
    const [glyph, what, price, size, when] = /** @type {HTMLCollectionOf<HTMLElement>} */ (row.children[0].children);
    setText(glyph, alert.side === 'B' ? '▲' : alert.side === 'A' ? '▼' : '■');
    setText(what, alertWords(alert));
    setText(price, alert.price === null ? '' : alert.price.toFixed(symbol.decimals));
    setText(size, alert.size > 0 ? formatExact(alert.size, symbol.sizeDecimals) : '');
    setText(when, this.app.clock.time(alert.openedMs));
    const list = row.children[1];
    list.replaceChildren();
    /** @type {[string, string][]} */
    const rows = [['strength', alert.strength.toFixed(2)], ...Object.entries(alert.evidence).map(([name, value]) => /** @type {[string, string]} */ ([name.replaceAll('_', ' '), String(Number(value.toPrecision(6)))]))];
    for (const worth of alert.measured) rows.push(['measured', worth]);
    for (const [name, text] of rows) {
      list.appendChild(document.createElement('dt')).textContent = name;
      list.appendChild(document.createElement('dd')).textContent = text;
    }
  }

  /** Say a change of direction aloud. */
  announce() {
    const { signal, symbol } = this.app.market;
    const text = signal?.direction ? `${symbol?.name ?? ''} signal ${signal.direction.toLowerCase()}` : '';
    if (text === this.spoken) return;
    this.spoken = text;
    if (text !== '') setText(element('announce-signal', HTMLElement), text);
  }
}
