/** The bar over a canvas: tools, sliders, what can be done with the drawing, and growing the picture. */
import { h } from "./dom.js";
import { icon } from "./canvas_icons.js";
import { LARGEST_BRUSH, SMALLEST_BRUSH } from "./canvas_tools.js";

const LEAST_GROWTH = 8;
const MOST_GROWTH = 512;
const USUAL_GROWTH = 128;
const GROWTH_STEP = 8;
/** Steps of the size slider, whose middle is a brush of 32 pixels: small sizes need finer steps. */
const SIZE_STEPS = 100;

/**
 * @typedef {import("./canvas_icons.js").IconName} IconName
 * @typedef {import("./canvas_tools.js").Tool} Tool
 */

/** @type {[Tool, IconName, string][]} */
const TOOLS = [
  ["brush", "brush", "Brush (B)"],
  ["eraser", "eraser", "Eraser (E)"],
  ["fill", "fill", "Fill the region around a place, or everything (G)"],
  ["lasso", "lasso", "Fill an outline (L)"],
  ["pick", "pick", "Take a colour from the picture (I, or Alt and click)"],
];
/** @type {["left" | "right" | "up" | "down", string][]} */
const SIDES = [["left", "to the left"], ["right", "to the right"], ["up", "upwards"], ["down", "downwards"]];

export class Toolbar {
  /** @param {import("./canvas.js").PictureCanvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    const { draws } = canvas;
    this.file = fileInput("Choose a picture", (file) => canvas.open(file));
    this.maskFile = fileInput("Choose a mask", (file) => canvas.masks.load(file));
    /** @type {Map<Tool, HTMLElement>} */
    this.tools = new Map(draws === "nothing" ? [] : TOOLS.filter(([tool]) => tool !== "pick" || draws === "colour")
      .map(([tool, shape, title]) => [tool, button(shape, title, () => canvas.tools.set({ tool }), { "aria-pressed": "false" })]));
    this.undo = button("undo", "Undo (Ctrl+Z)", () => canvas.undo());
    this.redo = button("redo", "Redo (Ctrl+Shift+Z)", () => canvas.redo());
    this.colour = /** @type {HTMLInputElement} */ (h("input", {
      type: "color", class: "easel-canvas-colour", title: draws === "mask" ? "Colour in which the mask is shown" : "Colour of the brush",
      "aria-label": "Colour", oninput: () => canvas.tools.set({ color: this.colour.value }),
    }));
    this.element = h("div", { class: "easel-canvas-bar", role: "toolbar", "aria-label": `${canvas.label}: tools` },
      group(button("open", "Open another picture", () => this.file.click()), this.file,
        button("close", "Remove the picture", () => canvas.setPicture(null))), ...this.#drawing(draws));
    this.sliders = draws === "nothing" ? null : this.#sliders(draws);
    this.growth = draws === "mask" ? this.#growth() : null;
  }

  /** @param {"nothing" | "mask" | "colour"} draws */
  #drawing(draws) {
    const steps = group(this.undo, this.redo);
    steps.classList.add("easel-canvas-steps");
    if (draws === "nothing") return [steps];
    const { canvas } = this;
    const clear = button("clear", draws === "mask" ? "Clear the mask" : "Clear the drawing", () => canvas.clear());
    const masks = draws !== "mask" ? [] : [
      button("invert", "Invert the mask", () => canvas.masks.invert()),
      button("load", "Load a mask from a file", () => this.maskFile.click()), this.maskFile,
      button("save", "Save the mask to a file", () => canvas.masks.save()),
      button("alpha", "Make a mask of what is transparent in the picture", () => canvas.masks.fromAlpha()),
    ];
    return [
      group(...this.tools.values(), this.colour), steps, group(clear, ...masks),
    ];
  }

  /** @param {"mask" | "colour"} draws */
  #sliders(draws) {
    const { canvas } = this;
    this.size = new Slider("Size", "Size of the brush in pixels (Q, W or Ctrl and wheel)", [SMALLEST_BRUSH, LARGEST_BRUSH, 1],
      (size) => canvas.tools.set({ size }), { toSlider: (size) => Math.log2(size) * (SIZE_STEPS / 10), fromSlider: (place) => Math.round(2 ** (place / (SIZE_STEPS / 10))) });
    this.hardness = new Slider("Hardness", "How hard the edge of the brush is (Shift and [ or ])", [0, 100, 1], (hardness) => canvas.tools.set({ hardness: hardness / 100 }));
    this.opacity = new Slider("Opacity", draws === "mask" ? "How strongly the mask is shown" : "Opacity of the brush", [draws === "mask" ? 10 : 1, 100, 1],
      (opacity) => canvas.tools.set({ opacity: opacity / 100 }));
    return h("div", { class: "easel-canvas-sliders" }, this.size.element, this.hardness.element, this.opacity.element);
  }

  #growth() {
    const amount = /** @type {HTMLInputElement} */ (h("input", {
      type: "number", min: LEAST_GROWTH, max: MOST_GROWTH, step: GROWTH_STEP, value: USUAL_GROWTH, "aria-label": "Pixels to extend by", title: "Pixels to extend by",
    }));
    const grow = (/** @type {string} */ side) => {
      const wanted = Math.round(amount.valueAsNumber || USUAL_GROWTH);
      amount.value = String(Math.min(Math.max(wanted, LEAST_GROWTH), MOST_GROWTH));
      this.canvas.extend({ [side]: Number(amount.value) });
    };
    return h("div", { class: "easel-canvas-growth", role: "group", "aria-label": "Extend the picture" }, h("span", {}, "Extend"), amount,
      ...SIDES.map(([side, words]) => button(side, `Extend the picture ${words}; what is new is masked`, () => grow(side))));
  }

  /** Show what can be done now and what the brush is like. */
  update() {
    const { canvas } = this;
    const { tool, size, hardness, opacity, color } = canvas.tools.brush;
    for (const [name, each] of this.tools) each.setAttribute("aria-pressed", String(name === tool));
    this.size?.show(size);
    this.hardness?.show(Math.round(hardness * 100));
    this.opacity?.show(Math.round(opacity * 100));
    this.colour.value = color;
    for (const [each, list] of /** @type {const} */ ([[this.undo, canvas.history.done], [this.redo, canvas.history.undone]])) {
      each.toggleAttribute("disabled", list.length === 0);
    }
    // Without a picture there is at most something to bring back.
    this.element.hidden = !canvas.size() && !canvas.history.done.length && !canvas.history.undone.length;
  }
}

/** A range with its number beside it. */
class Slider {
  /**
   * @param {string} label @param {string} title @param {[number, number, number]} range least, most, step
   * @param {(value: number) => void} change
   * @param {{toSlider: (value: number) => number, fromSlider: (place: number) => number}} [scale]
   */
  constructor(label, title, [least, most, step], change, scale = { toSlider: (value) => value, fromSlider: (place) => place }) {
    this.scale = scale;
    this.range = /** @type {HTMLInputElement} */ (h("input", {
      type: "range", min: scale.toSlider(least), max: scale.toSlider(most), step: scale.toSlider === scale.fromSlider ? step : "any", title,
      "aria-label": label, oninput: () => change(Math.min(Math.max(scale.fromSlider(this.range.valueAsNumber), least), most)),
    }));
    this.number = /** @type {HTMLInputElement} */ (h("input", {
      type: "number", min: least, max: most, step, title, "aria-label": `${label}, as a number`,
      onchange: () => change(Math.min(Math.max(Math.round(this.number.valueAsNumber || least), least), most)),
    }));
    this.element = h("label", { class: "easel-canvas-slider", title }, h("span", {}, label), this.range, this.number);
  }

  /** @param {number} value */
  show(value) {
    this.range.value = String(this.scale.toSlider(value));
    const { min, max } = this.range;
    this.range.style.setProperty("--easel-part", `${((this.range.valueAsNumber - Number(min)) / (Number(max) - Number(min))) * 100}%`);
    this.number.value = String(Math.round(value));
  }
}

/** @param {IconName} shape @param {string} title @param {() => void} action @param {Record<string, string>} [more] */
export function button(shape, title, action, more = {}) {
  return h("button", { type: "button", class: "easel-canvas-button", title, "aria-label": title.replace(/ \([^)]*\)$/, ""), onclick: action, ...more }, icon(shape));
}

/** @param {...Node} children */
export const group = (...children) => h("div", { class: "easel-canvas-group" }, ...children);

/** @param {string} label @param {(file: File) => void} take */
function fileInput(label, take) {
  const input = /** @type {HTMLInputElement} */ (h("input", { type: "file", accept: "image/*", hidden: true, "aria-label": label }));
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) take(file);
    // So that the same file can be chosen again.
    input.value = "";
  });
  return input;
}
