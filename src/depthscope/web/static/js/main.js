// @ts-check
/** Starts the page: makes the parts and sets their clocks. */
import { App } from './app.js';
import { Footer } from './footer.js';
import { Header } from './header.js';
import { Input } from './input.js';
import { Insight } from './insight.js';
import { Side } from './side.js';
import { element, setText } from './surface.js';

const FIGURES_MS = 240;

const app = new App();
const header = new Header(app);
const footer = new Footer(app);
const side = new Side(app);
const input = new Input(app);
const insight = new Insight(app);

/** The words over the heatmap: large when there is nothing to see, a strip when what is there must not be trusted. */
function showNotice() {
  const status = app.status();
  const empty = app.market.fine === null || app.market.fine.head < 0;
  const notice = element('notice', HTMLElement);
  // With columns on show, the half second until the first figures come is not worth a word.
  notice.hidden = !empty && (status.kind === 'live' || status.kind === 'history' || status.text === 'LOADING');
  notice.dataset.kind = status.kind;
  notice.dataset.empty = empty ? '1' : '0';
  setText(element('notice-title', HTMLElement), empty && status.kind === 'live' ? 'NO DEPTH YET' : status.text);
  setText(element('notice-detail', HTMLElement), status.detail);
}

app.onStatus = () => {
  header.showStatus();
  footer.showSession();
  side.announce();
  showNotice();
};
app.onScale = () => header.showScale();
app.onPanels = () => side.showImpact();

const group = element('group', HTMLSelectElement);
group.value = String(app.settings.values.group);
group.onchange = () => app.settings.set('group', Number(group.value));
element('recentre', HTMLButtonElement).onclick = () => app.recentre();
const bookMode = element('book-mode', HTMLButtonElement);
bookMode.onclick = () => app.settings.set('book', app.settings.values.book === 'now' ? 'mean' : 'now');

function showSettings() {
  setText(bookMode, app.settings.values.book === 'now' ? 'BOOK now' : 'BOOK mean');
  app.clock.choose(app.settings.values.clock, app.market.symbol?.calendar ?? '24/7');
}

app.settings.listeners.add((key) => {
  if (key === 'theme' || key === 'palette') app.renderer.applyTheme();
  showSettings();
  header.showScale();
  app.renderer.markSlow();
});
app.market.onSymbol.add(() => {
  showSettings();
  header.showScale();
  app.renderer.markSlow();
  app.onStatus();
});

/** @param {number} now */
function frame(now) {
  requestAnimationFrame(frame);
  app.renderer.frame(now);
}

window.setInterval(() => {
  const at = performance.now();
  header.showFigures();
  footer.showFigures();
  insight.showSignal();
  insight.showAlerts();
  insight.announce();
  app.onStatus();
  const centred = !app.renderer.ladder.manual && app.view.followPrice;
  element('recentre', HTMLButtonElement).classList.toggle('on', !centred);
  setText(element('span-text', HTMLElement), app.renderer.spanText);
  app.perf.textMs += performance.now() - at;
}, FIGURES_MS);

window.setInterval(() => {
  app.perf.settle(app.feed.stats.bytes, app.feed.stats.decodeMs);
  side.showHealth();
  side.showTable();
}, 1000);

showSettings();
app.onStatus();
header.showScale();
requestAnimationFrame(frame);

// For the browser tests and for a look from the console.
Object.defineProperty(window, '__depthscope', { value: { app, input, get perf() { return app.perf; }, get store() { return app.market.fine; } } });
