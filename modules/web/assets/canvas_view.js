/** How the picture and the drawing over it are shown: zoom, pan, and only what changed drawn anew. */
import { h } from "./dom.js";
import { TILE } from "./canvas_layer.js";

const LARGEST_SCALE = 32;
/** The smallest scale, as a part of the one at which all is seen. */
const SMALLEST_PART = 0.25;
/** Up to which scale a small picture is enlarged by itself. */
const LARGEST_FIT = 16;
/** CSS pixels of the picture that always stay in sight. */
const LEAST_SEEN = 48;
/** From this many screen pixels per pixel on, pixels are shown as squares. */
const PIXELS_SEEN = 3;

/**
 * @typedef {import("./canvas_layer.js").Layer} Layer
 * @typedef {import("./canvas_layer.js").Box} Box
 * @typedef {{x: number, y: number}} Point
 */

export class View extends EventTarget {
  constructor() {
    super();
    this.overlay = /** @type {HTMLCanvasElement} */ (h("canvas", { class: "easel-canvas-overlay", "aria-hidden": "true" }));
    this.context = /** @type {CanvasRenderingContext2D} */ (this.overlay.getContext("2d"));
    this.place = h("div", { class: "easel-canvas-picture" });
    this.element = h("div", { class: "easel-canvas-view" }, this.place, this.overlay);
    /** @type {import("./canvas_picture.js").Picture | null} */
    this.picture = null;
    /** @type {Layer | null} */
    this.layer = null;
    /** @type {[number, number, number]} how a mask is shown */
    this.tint = [255, 255, 255];
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.fitted = true;
    /** @type {Map<number, HTMLCanvasElement>} what tiles look like */
    this.drawn = new Map();
    /** @type {Map<number, Box>} what of them does not look right any more */
    this.stale = new Map();
    /** @type {Box | null} what of the picture has to be shown anew */
    this.dirty = null;
    this.due = false;
    new ResizeObserver(() => this.#resized()).observe(this.element);
  }

  /** @param {import("./canvas_picture.js").Picture | null} picture @param {Layer | null} layer @param {boolean} [stay] keep zoom and place */
  show(picture, layer, stay = false) {
    this.picture = picture;
    this.layer = layer;
    this.place.replaceChildren(...(picture ? [picture.image] : []));
    this.drawn.clear();
    this.stale.clear();
    for (const index of layer?.tiles.keys() ?? []) this.stale.set(index, /** @type {Layer} */ (layer).boxOf(index));
    if (layer) {
      layer.onchange = (index, box) => {
        this.stale.set(index, union(this.stale.get(index), box));
        this.#want(box);
        this.dispatchEvent(new CustomEvent("changed", { detail: index }));
      };
    }
    if (picture) this.element.style.setProperty("--aspect", `${picture.width} / ${picture.height}`);
    else this.element.style.removeProperty("--aspect");
    if (stay) this.#moved();
    else this.fit();
  }

  /** @returns {{width: number, height: number}} of the part of the page that the view takes, in CSS pixels */
  get frame() {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  /** The scale at which all of the picture is seen. */
  get fittingScale() {
    const { width, height } = this.frame;
    if (!this.picture || !width || !height) return 1;
    return Math.min(width / this.picture.width, height / this.picture.height, LARGEST_FIT);
  }

  fit() {
    this.fitted = true;
    this.scale = this.fittingScale;
    if (this.picture) {
      this.x = (this.frame.width - this.picture.width * this.scale) / 2;
      this.y = (this.frame.height - this.picture.height * this.scale) / 2;
    }
    this.#moved();
  }

  /** Zoom so that what is at a place of the view stays there. @param {number} scale @param {Point} [at] in CSS pixels of the view; else its middle */
  zoom(scale, at = { x: this.frame.width / 2, y: this.frame.height / 2 }) {
    const wanted = Math.min(Math.max(scale, this.fittingScale * SMALLEST_PART), LARGEST_SCALE);
    this.x = at.x - ((at.x - this.x) * wanted) / this.scale;
    this.y = at.y - ((at.y - this.y) * wanted) / this.scale;
    this.scale = wanted;
    this.fitted = false;
    this.#moved();
  }

  /** @param {number} across @param {number} down in CSS pixels */
  pan(across, down) {
    this.x += across;
    this.y += down;
    this.fitted = false;
    this.#moved();
  }

  /** Where in the view a place of the window lies. @param {{clientX: number, clientY: number}} event @returns {Point} */
  inView({ clientX, clientY }) {
    const box = this.element.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  }

  /** Where in the picture a place of the window lies. @param {{clientX: number, clientY: number}} event @returns {Point} */
  inPicture(event) {
    const { x, y } = this.inView(event);
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  /** Show the mask in another colour. @param {[number, number, number]} tint */
  tinge(tint) {
    this.tint = tint;
    for (const index of this.layer?.tiles.keys() ?? []) this.stale.set(index, /** @type {Layer} */ (this.layer).boxOf(index));
    if (this.layer) this.#want(this.layer.bounds);
  }

  #resized() {
    if (this.fitted) this.fit();
    else this.#moved();
  }

  #moved() {
    this.element.toggleAttribute("data-fitted", this.fitted);
    if (this.picture) {
      const { width, height } = this.frame;
      this.x = Math.min(Math.max(this.x, LEAST_SEEN - this.picture.width * this.scale), width - LEAST_SEEN);
      this.y = Math.min(Math.max(this.y, LEAST_SEEN - this.picture.height * this.scale), height - LEAST_SEEN);
      const { style } = this.place;
      style.width = `${this.picture.width * this.scale}px`;
      style.height = `${this.picture.height * this.scale}px`;
      style.transform = `translate(${this.x}px, ${this.y}px)`;
      style.imageRendering = this.scale * devicePixelRatio >= PIXELS_SEEN ? "pixelated" : "auto";
    }
    this.#want({ left: -Infinity, top: -Infinity, right: Infinity, bottom: Infinity });
    this.dispatchEvent(new Event("moved"));
  }

  /** @param {Box} box */
  #want(box) {
    this.dirty = union(this.dirty, box);
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.#draw();
    });
  }

  #draw() {
    const { width, height } = this.frame;
    const ratio = devicePixelRatio;
    const box = this.dirty;
    this.dirty = null;
    if (!box || !width || !height) return;
    const across = Math.round(width * ratio);
    const down = Math.round(height * ratio);
    if (this.overlay.width !== across || this.overlay.height !== down) {
      this.overlay.width = across;
      this.overlay.height = down;
    }
    if (!this.layer) return this.context.clearRect(0, 0, across, down);
    for (const [index, part] of this.stale) this.#paint(this.layer, index, part);
    this.stale.clear();
    const scale = this.scale * ratio;
    // What changed, and as much around it as smoothing mixes in.
    const margin = 2 + 2 / scale;
    const left = Math.max(Math.floor(this.x * ratio + (box.left - margin) * scale), 0);
    const top = Math.max(Math.floor(this.y * ratio + (box.top - margin) * scale), 0);
    const right = Math.min(Math.ceil(this.x * ratio + (box.right + margin) * scale), across);
    const bottom = Math.min(Math.ceil(this.y * ratio + (box.bottom + margin) * scale), down);
    if (left >= right || top >= bottom) return;
    this.#compose(this.layer, { left, top, right, bottom }, scale);
  }

  /** @param {Layer} layer @param {Box} screen in pixels of the overlay @param {number} scale */
  #compose(layer, screen, scale) {
    const { context } = this;
    const originX = this.x * devicePixelRatio;
    const originY = this.y * devicePixelRatio;
    context.save();
    context.beginPath();
    context.rect(screen.left, screen.top, screen.right - screen.left, screen.bottom - screen.top);
    context.clip();
    context.clearRect(screen.left, screen.top, screen.right - screen.left, screen.bottom - screen.top);
    context.imageSmoothingEnabled = scale < PIXELS_SEEN;
    context.imageSmoothingQuality = "medium";
    const seen = {
      left: (screen.left - originX) / scale, top: (screen.top - originY) / scale,
      right: (screen.right - originX) / scale, bottom: (screen.bottom - originY) / scale,
    };
    for (const index of layer.touched(seen)) {
      const tile = this.drawn.get(index);
      if (!tile) continue;
      // Edges on whole pixels, the same for neighbours, so that no seam shows.
      const column = (index % layer.columns) * TILE;
      const row = Math.floor(index / layer.columns) * TILE;
      const left = Math.round(originX + column * scale);
      const top = Math.round(originY + row * scale);
      const right = Math.round(originX + (column + TILE) * scale);
      const bottom = Math.round(originY + (row + TILE) * scale);
      context.drawImage(tile, left, top, right - left, bottom - top);
    }
    context.restore();
  }

  /** Bring what a tile looks like up to date. @param {Layer} layer @param {number} index @param {Box} part */
  #paint(layer, index, part) {
    const tile = layer.tiles.get(index);
    if (!tile) {
      this.drawn.delete(index);
      return;
    }
    let canvas = this.drawn.get(index);
    if (!canvas) {
      canvas = document.createElement("canvas");
      canvas.width = canvas.height = TILE;
      this.drawn.set(index, canvas);
    }
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const place = layer.boxOf(index);
    const left = part.left - place.left;
    const top = part.top - place.top;
    const width = part.right - part.left;
    const height = part.bottom - part.top;
    if (layer.channels === 4) context.putImageData(new ImageData(tile, TILE, TILE), 0, 0, left, top, width, height);
    else context.putImageData(tinted(tile, this.tint, left, top, width, height), left, top);
  }
}

/**
 * @param {Uint8ClampedArray} tile @param {[number, number, number]} tint
 * @param {number} left @param {number} top @param {number} width @param {number} height
 */
function tinted(tile, [red, green, blue], left, top, width, height) {
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  const colour = (blue << 16) | (green << 8) | red;
  for (let y = 0, spot = 0; y < height; y += 1) {
    for (let from = (top + y) * TILE + left, end = from + width; from < end; from += 1, spot += 1) words[spot] = (tile[from] << 24) | colour;
  }
  return pixels;
}

/** @param {Box | null | undefined} one @param {Box} other @returns {Box} */
function union(one, other) {
  if (!one) return other;
  return {
    left: Math.min(one.left, other.left), top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right), bottom: Math.max(one.bottom, other.bottom),
  };
}
