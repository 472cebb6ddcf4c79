/** The part of a canvas on which the picture lies: what stands there without one, cursor, outline, zoom, dropped files. */
import { h } from "./dom.js";
import { fetchPicture, ourAddress } from "./paster.js";
import { icon } from "./canvas_icons.js";
import { button } from "./canvas_toolbar.js";
import { View } from "./canvas_view.js";

const ZOOM_STEP = 1.25;
const SVG = "http://www.w3.org/2000/svg";

export class Stage {
  /** @param {import("./canvas.js").PictureCanvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.view = new View();
    this.ring = h("div", { class: "easel-canvas-cursor", hidden: true }, h("div", {}));
    const guide = document.createElementNS(SVG, "svg");
    guide.setAttribute("class", "easel-canvas-guide");
    guide.setAttribute("aria-hidden", "true");
    this.lines = ["easel-canvas-line", "easel-canvas-line easel-canvas-dashes"].map((kind) => {
      const line = document.createElementNS(SVG, "polyline");
      line.setAttribute("class", kind);
      guide.append(line);
      return line;
    });
    this.empty = h("div", { class: "easel-canvas-empty" },
      h("button", { type: "button", class: "easel-canvas-choose", onclick: () => canvas.toolbar.file.click() }, icon("picture"),
        h("span", {}, h("b", {}, "Drop a picture here"), " or click to choose one")),
      canvas.draws === "colour" ? h("button", { type: "button", class: "easel-button", onclick: () => canvas.startBlank() }, "Start with a white sheet") : null);
    this.percent = h("button", { type: "button", class: "easel-canvas-button easel-canvas-percent", title: "Show at 100 % (1)", onclick: () => this.view.zoom(1) }, "100 %");
    this.larger = button("large", "Full screen (S)", () => canvas.enlarge(!canvas.isLarge));
    this.zoom = h("div", { class: "easel-canvas-zoom", role: "group", "aria-label": "Zoom" },
      button("zoomOut", "Zoom out (Alt and wheel)", () => this.view.zoom(this.view.scale / ZOOM_STEP)), this.percent,
      button("zoomIn", "Zoom in (Alt and wheel)", () => this.view.zoom(this.view.scale * ZOOM_STEP)),
      button("fit", "Show all of it (R)", () => this.view.fit()), this.larger);
    this.facts = h("div", { class: "easel-canvas-facts" });
    this.view.element.append(guide, this.ring, this.empty);
    this.element = h("div", { class: "easel-canvas-stage" }, this.view.element,
      h("div", { class: "easel-canvas-status" }, this.facts, canvas.toolbar.growth, this.zoom));
    this.view.addEventListener("moved", () => this.#moved());
    this.#takeDrops();
  }

  /** Show the size of the brush at a place of the view, or no longer. @param {{x: number, y: number} | null} at */
  cursor(at) {
    const { tool, size, hardness } = this.canvas.tools.brush;
    const round = tool === "brush" || tool === "eraser";
    this.ring.hidden = !at || !round || !this.canvas.canDraw;
    this.view.element.dataset.tool = this.canvas.canDraw && this.view.picture ? tool : "none";
    if (this.ring.hidden || !at) return;
    const across = Math.max(size * this.view.scale, 3);
    this.ring.style.width = this.ring.style.height = `${across}px`;
    this.ring.style.transform = `translate(${at.x - across / 2}px, ${at.y - across / 2}px)`;
    this.ring.style.setProperty("--core", `${Math.round(hardness * 100)}%`);
    this.ring.toggleAttribute("data-soft", hardness < 0.95 && across > 12);
  }

  /** Show an outline that is being drawn. @param {{x: number, y: number}[]} outline in pixels of the picture */
  guide(outline) {
    const { x, y, scale } = this.view;
    const points = outline.map((point) => `${x + point.x * scale},${y + point.y * scale}`).join(" ");
    for (const line of this.lines) line.setAttribute("points", points);
  }

  /** Show whether there is a picture and how large it is. */
  update() {
    const size = this.canvas.size();
    this.canvas.element.toggleAttribute("data-empty", !size);
    this.facts.textContent = size ? `${size.width} × ${size.height}` : "";
    this.larger.setAttribute("aria-pressed", String(this.canvas.isLarge));
    this.larger.replaceChildren(icon(this.canvas.isLarge ? "small" : "large"));
  }

  #moved() {
    this.percent.textContent = `${Math.round(this.view.scale * 100)} %`;
    const { hover } = this.canvas.pointer ?? {};
    if (hover) this.cursor(this.view.inView(hover));
  }

  #takeDrops() {
    const { element } = this.view;
    /** @param {DragEvent} event */
    const over = (event) => {
      event.preventDefault();
      event.stopPropagation();
      element.setAttribute("data-easel-drop", "");
    };
    element.addEventListener("dragenter", over);
    element.addEventListener("dragover", over);
    element.addEventListener("dragleave", () => element.removeAttribute("data-easel-drop"));
    element.addEventListener("drop", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      element.removeAttribute("data-easel-drop");
      const file = event.dataTransfer?.files[0];
      const address = ourAddress(event.dataTransfer?.getData("text/uri-list") ?? "");
      if (file) await this.canvas.open(file);
      else if (address) await fetchPicture(address).then((blob) => this.canvas.open(blob)).catch((error) => this.canvas.messages.failure(error));
    });
  }
}
