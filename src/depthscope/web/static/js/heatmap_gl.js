// @ts-check
/**
 * The heatmap on WebGL2, used only where a real GPU draws it (software WebGL is several times slower than the 2-D canvas).
 * The texture holds level k of column c at (c mod ring, k); the shader looks ticks up by the column's base and takes the maximum of
 * the cells in a pixel.
 */
import { CAPACITY } from './store.js';
import { FIRST_SHADE } from './tone.js';

const MASK = CAPACITY - 1;

const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;

/** @param {number} levels */
const fragment = (levels) => `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;
uniform sampler2D cells;
uniform isampler2D columns;  // (base tick, column number), number -1 where nothing is known
uniform sampler2D lut;
uniform vec2 size;
uniform ivec2 origin;        // whole column and tick at the lower left
uniform vec4 window;         // offset of that corner, then columns and ticks on show
uniform vec2 tone;
uniform vec3 unknown;
uniform int row;             // ticks of a level
out vec4 colour;

float cell(int column, int tick) {
  ivec2 known = texelFetch(columns, ivec2(column & ${MASK}, 0), 0).xy;
  int away = tick - known.x;
  int level = away / row;
  if (known.y != column || away < 0 || level >= ${levels}) return -1.0;
  return texelFetch(cells, ivec2(column & ${MASK}, level), 0).r;
}

void main() {
  vec2 per = window.zw / size;
  vec2 at = window.xy + (gl_FragCoord.xy - 0.5) * per;
  ivec2 first = ivec2(floor(at));
  ivec2 count = clamp(ivec2(ceil(at + per)) - first, ivec2(1), ivec2(16));
  float v = -1.0;
  for (int i = 0; i < count.x; i++)
    for (int j = 0; j < count.y; j++) v = max(v, cell(origin.x + first.x + i, origin.y + first.y + j));
  if (v < 0.0) colour = vec4(unknown, 1.0);
  else {
    float x = clamp((v - tone.x) / (tone.y - tone.x), 0.0, 1.0);
    int shade = v == 0.0 ? 0 : ${FIRST_SHADE} + int(x * ${255 - FIRST_SHADE}.0);
    colour = texelFetch(lut, ivec2(shade, 0), 0);
  }
}`;

/** @typedef {import('./store.js').ColumnStore} ColumnStore */

/** True when WebGL2 is there and drawn by hardware. */
export function hasHardwareGl() {
  const probe = document.createElement('canvas').getContext('webgl2', { failIfMajorPerformanceCaveat: true });
  if (probe === null) return false;
  const detail = probe.getExtension('WEBGL_debug_renderer_info');
  const name = String(probe.getParameter(detail === null ? probe.RENDERER : detail.UNMASKED_RENDERER_WEBGL));
  probe.getExtension('WEBGL_lose_context')?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render|virgl/i.test(name);
}

export class GlHeatmap {
  /** @param {HTMLCanvasElement} canvas @param {() => void} onLost  called when the GPU takes the context away */
  constructor(canvas, onLost) {
    this.kind = 'webgl2';
    this.canvas = canvas;
    const gl = canvas.getContext('webgl2', { antialias: false, alpha: false, depth: false, preserveDrawingBuffer: false });
    if (gl === null) throw new Error('no WebGL2 context');
    this.gl = gl;
    this.levels = 0;
    /** @type {WebGLProgram | null} */
    this.program = null;
    /** @type {Record<string, WebGLUniformLocation | null>} */
    this.uniforms = {};
    /** @type {ColumnStore | null} */
    this.store = null;
    this.generation = -1;
    /** @type {Set<number>} */
    this.dirty = new Set();
    this.pair = new Int32Array(2);
    this.lut = new Uint8Array(1024);
    this.unknown = [0, 0, 0];
    this.lutChanged = true;
    this.columnsPainted = 0;
    canvas.addEventListener('webglcontextlost', (event) => {
      event.preventDefault();
      onLost();
    });
  }

  /** @param {Uint8ClampedArray} lut @param {[number, number, number]} unknown */
  setColours(lut, unknown) {
    this.lut = new Uint8Array(lut);
    this.unknown = unknown.map((v) => v / 255);
    this.lutChanged = true;
  }

  /** @param {ColumnStore} store @param {number} first @param {number} end */
  invalidate(store, first, end) {
    if (store !== this.store) return;
    for (let col = Math.max(first, end - CAPACITY); col < end; col++) this.dirty.add(col);
  }

  /**
   * @param {ColumnStore} store
   * @param {import('./view.js').Rect} rect
   * @param {import('./tone.js').Tone} tone
   * @param {number} width
   * @param {number} height
   */
  draw(store, rect, tone, width, height) {
    const { gl, canvas } = this;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    if (this.levels !== store.levels) this.#build(store.levels);
    if (this.store !== store || this.generation !== store.generation) this.#restart(store);
    this.#upload(store);
    if (!Number.isFinite(rect.p0)) return;
    const u = this.uniforms;
    const left = Math.floor(rect.c0);
    const bottom = Math.floor(rect.p0);
    gl.viewport(0, 0, width, height);
    gl.useProgram(this.program);
    gl.uniform1i(u.cells, 0);
    gl.uniform1i(u.columns, 1);
    gl.uniform1i(u.lut, 2);
    gl.uniform2f(u.size, width, height);
    // Column numbers outgrow a float's 24 bits within a session: whole parts go in as integers.
    gl.uniform2i(u.origin, left, bottom);
    gl.uniform4f(u.window, rect.c0 - left, rect.p0 - bottom, rect.c1 - rect.c0, rect.p1 - rect.p0);
    gl.uniform1i(u.row, store.row);
    gl.uniform2f(u.tone, tone.low, tone.high);
    gl.uniform3f(u.unknown, this.unknown[0], this.unknown[1], this.unknown[2]);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** @param {number} levels */
  #build(levels) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, text] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, fragment(levels)]])) {
      const shader = gl.createShader(kind);
      if (shader === null) throw new Error('the GPU makes no shader');
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) || 'shader');
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || 'link');
    this.program = program;
    for (const name of ['cells', 'columns', 'lut', 'size', 'origin', 'window', 'tone', 'unknown', 'row']) {
      this.uniforms[name] = gl.getUniformLocation(program, name);
    }
    this.#texture(0, gl.R32F, CAPACITY, levels);
    this.#texture(1, gl.RG32I, CAPACITY, 1);
    this.#texture(2, gl.RGBA8, 256, 1);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.levels = levels;
    this.lutChanged = true;
    this.generation = -1;
  }

  /** @param {number} unit @param {number} format @param {number} width @param {number} height */
  #texture(unit, format, width, height) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
  }

  /** @param {ColumnStore} store */
  #restart(store) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE1);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, CAPACITY, 1, gl.RG_INTEGER, gl.INT, new Int32Array(2 * CAPACITY).fill(-1));
    this.store = store;
    this.generation = store.generation;
    this.dirty.clear();
    this.invalidate(store, store.oldest, store.head + 1);
  }

  /** @param {ColumnStore} store */
  #upload(store) {
    const { gl, levels } = this;
    for (const col of this.dirty) {
      if (!store.has(col)) continue;
      const slot = store.slot(col);
      gl.activeTexture(gl.TEXTURE0);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, slot, 0, 1, levels, gl.RED, gl.FLOAT, store.log, slot * levels);
      this.pair[0] = store.base[slot];
      this.pair[1] = store.isLive(col) ? col : -1;
      gl.activeTexture(gl.TEXTURE1);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, slot, 0, 1, 1, gl.RG_INTEGER, gl.INT, this.pair);
      this.columnsPainted++;
    }
    this.dirty.clear();
    if (this.lutChanged) {
      gl.activeTexture(gl.TEXTURE2);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 1, gl.RGBA, gl.UNSIGNED_BYTE, this.lut);
      this.lutChanged = false;
    }
  }
}
