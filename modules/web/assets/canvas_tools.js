/** The tools: what happens when a pointer goes down on the picture, moves and goes up. */
import { Edit } from "./canvas_brush.js";
import { fillOutline, fillRegion } from "./canvas_fill.js";
import { colourAt } from "./canvas_pixels.js";

export const SMALLEST_BRUSH = 1;
export const LARGEST_BRUSH = 1024;
/** A pen that hardly touches still draws this part of the brush. */
const LEAST_PRESSURE = 0.1;
/** The part of the radius that the brush has to move on before it is drawn again. */
const SPACING = 0.06;
/** @type {Record<string, Brush>} */
const USUAL = {
  mask: { tool: "brush", size: 64, hardness: 1, opacity: 0.6, color: "#ff2f6d" },
  colour: { tool: "brush", size: 32, hardness: 0.9, opacity: 1, color: "#e03131" },
};
/** What is remembered of a brush between visits. */
const REMEMBERED = /** @type {const} */ (["size", "hardness", "opacity", "color"]);

/**
 * @typedef {"brush" | "eraser" | "fill" | "lasso" | "pick"} Tool
 * @typedef {{x: number, y: number, pressure: number}} Touch where in the picture; pressure from 0 to 1, 1 for what knows none
 * @typedef {{tool: Tool, size: number, hardness: number, opacity: number, color: string}} Brush
 *   size: diameter in pixels of the picture; hardness and opacity from 0 to 1
 */

export class Tools {
  /** @param {import("./canvas.js").PictureCanvas} canvas @param {Partial<Brush>} brush what differs from the usual one */
  constructor(canvas, brush) {
    this.canvas = canvas;
    this.place = `easel-brush-${canvas.draws}`;
    /** @type {Brush} */
    this.brush = { ...(USUAL[canvas.draws] ?? USUAL.mask), ...brush, ...recall(this.place) };
    /** @type {Edit | null} */
    this.edit = null;
    /** @type {import("./canvas_brush.js").Dab | null} where the stroke has got to */
    this.reached = null;
    /** @type {import("./canvas_brush.js").Dab | null} where it is to go next */
    this.ahead = null;
    /** @type {import("./canvas_fill.js").Point[]} */
    this.outline = [];
    /** @type {(() => void) | null} what is done when the pointer goes up */
    this.pending = null;
    /** @type {{layer: object, x: number, y: number} | null} where the last stroke ended, for straight lines */
    this.last = null;
  }

  /** Take another tool, or change the brush. @param {Partial<Brush>} change */
  set(change) {
    Object.assign(this.brush, change);
    remember(this.place, this.brush);
    this.canvas.update();
  }

  /** Make the brush larger or smaller. @param {number} factor */
  resize(factor) {
    const { size } = this.brush;
    // At least one pixel, or small brushes would stay as they are.
    const wanted = factor > 1 ? Math.max(size * factor, size + 1) : Math.min(size * factor, size - 1);
    this.set({ size: Math.min(Math.max(Math.round(wanted), SMALLEST_BRUSH), LARGEST_BRUSH) });
  }

  /** Make the edge of the brush harder or softer. @param {number} by */
  harden(by) {
    this.set({ hardness: Math.min(Math.max(this.brush.hardness + by, 0), 1) });
  }

  get isDrawing() {
    return this.edit !== null || this.outline.length > 0;
  }

  /** @param {Touch} touch @param {{erase: boolean, straight: boolean, pick: boolean}} how */
  down(touch, { erase, straight, pick }) {
    const { layer } = this.canvas;
    if (!layer) return;
    const tool = pick ? "pick" : erase ? "eraser" : this.brush.tool;
    // Not before the pointer goes up: a second finger may follow.
    if (tool === "pick") this.pending = () => this.#pick(touch);
    else if (tool === "fill") this.pending = () => this.#fill(touch);
    else if (tool === "lasso") this.outline = [touch];
    else {
      this.edit = new Edit(layer, this.#ink(tool === "eraser"));
      const dab = this.#dab(touch);
      const from = straight && this.last?.layer === layer ? { ...this.last, radius: dab.radius } : dab;
      this.edit.line(from, dab, this.brush.hardness);
      this.reached = dab;
    }
  }

  /** @param {Touch[]} touches */
  move(touches) {
    if (this.outline.length) {
      this.outline.push(...touches);
      return;
    }
    for (const touch of touches) {
      if (!this.edit || !this.reached) return;
      const dab = this.#dab(touch);
      this.ahead = dab;
      const least = Math.max(Math.min(dab.radius, this.reached.radius) * SPACING, 0.4);
      if (Math.hypot(dab.x - this.reached.x, dab.y - this.reached.y) >= least) this.#advance();
    }
  }

  up() {
    const { layer } = this.canvas;
    if (this.outline.length && layer) {
      if (this.outline.length > 2) {
        this.edit = new Edit(layer, this.#ink(false));
        fillOutline(this.edit, this.outline);
      }
    } else if (this.edit && this.ahead) this.#advance();
    if (this.reached && layer) this.last = { layer, x: this.reached.x, y: this.reached.y };
    const step = this.edit?.end();
    const { pending } = this;
    this.#forget();
    if (step) this.canvas.drew(step);
    pending?.();
  }

  /** Take back what was begun. */
  cancel() {
    this.edit?.cancel();
    this.#forget();
  }

  /** Take the colour that is seen at a place. @param {Touch} touch */
  #pick(touch) {
    const { picture, layer } = this.canvas.content;
    if (!picture || !layer) return;
    this.set({ color: colourAt(picture, layer, touch), tool: this.brush.tool === "pick" ? "brush" : this.brush.tool });
  }

  #forget() {
    this.edit = null;
    this.reached = null;
    this.ahead = null;
    this.outline = [];
    this.pending = null;
  }

  #advance() {
    if (!this.edit || !this.reached || !this.ahead) return;
    this.edit.line(this.reached, this.ahead, this.brush.hardness);
    this.reached = this.ahead;
    this.ahead = null;
  }

  /** @param {Touch} touch */
  #fill(touch) {
    const { layer } = this.canvas;
    if (!layer || touch.x < 0 || touch.y < 0 || touch.x >= layer.width || touch.y >= layer.height) return;
    const edit = new Edit(layer, this.#ink(false));
    fillRegion(edit, touch);
    const step = edit.end();
    if (step) this.canvas.drew(step);
  }

  /** @param {Touch} touch */
  #dab({ x, y, pressure }) {
    return { x, y, radius: (this.brush.size / 2) * Math.max(pressure, LEAST_PRESSURE) };
  }

  /** @param {boolean} erase @returns {import("./canvas_brush.js").Ink} */
  #ink(erase) {
    // A mask's opacity is how it is shown, not how much is masked.
    const opacity = this.canvas.draws === "colour" && !erase ? this.brush.opacity : 1;
    return { erase, colour: parseColour(this.brush.color), opacity };
  }
}

/** @param {string} text like "#ff8000" @returns {[number, number, number]} */
export function parseColour(text) {
  const value = Number.parseInt(text.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** @param {string} place @returns {Partial<Brush>} */
function recall(place) {
  try {
    return JSON.parse(localStorage.getItem(place) ?? "{}");
  } catch {
    return {};
  }
}

/** @param {string} place @param {Brush} brush */
function remember(place, brush) {
  try {
    localStorage.setItem(place, JSON.stringify(Object.fromEntries(REMEMBERED.map((name) => [name, brush[name]]))));
  } catch {
    // Not remembered then, as in a private window.
  }
}
