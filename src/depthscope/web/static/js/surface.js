// @ts-check
/** A canvas that knows its size: measured by an observer, never by asking the layout in the middle of a frame. */

export class Surface {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onResize
   * @param {boolean} [opaque]
   */
  constructor(canvas, onResize, opaque = false) {
    this.canvas = canvas;
    const context = canvas.getContext('2d', { alpha: !opaque });
    if (context === null) throw new Error(`no 2-D context for #${canvas.id}`);
    this.g = context;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    this.ratio = 1;
    this.observer = new ResizeObserver((entries) => {
      const box = entries[entries.length - 1].contentRect;
      if (box.width === this.width && box.height === this.height) return;
      this.width = box.width;
      this.height = box.height;
      onResize();
    });
    this.observer.observe(canvas);
  }

  /** Fit the backing store, clear, and hand out the context in CSS pixels. */
  begin() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.width * ratio));
    const height = Math.max(1, Math.round(this.height * ratio));
    const { canvas, g } = this;
    this.ratio = ratio;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, this.width, this.height);
    return g;
  }
}

/** Element by id, of the class expected. @template {Element} T @param {string} id @param {new (...args: any[]) => T} type @returns {T} */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`);
  return found;
}

/** Set text only when it differs: an unchanged write still costs layout. @param {Element} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
