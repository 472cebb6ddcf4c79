/** The size on the img2img form: in pixels, or as a multiple of the picture's own. */
import { h, whenPresent } from "./dom.js";

const KEY = "easel.img2img.resize";
const STEP = 8;
/** @typedef {"to" | "by"} Way */
/** @type {{id: Way, label: string}[]} */
const WAYS = [{ id: "to", label: "Resize to" }, { id: "by", label: "Resize by" }];

export class Resizing {
  /** @param {import("./form.js").Form} form */
  constructor(form) {
    this.form = form;
    /** @type {Way} */
    this.way = localStorage.getItem(KEY) === "by" ? "by" : "to";
    /** @type {{width: number, height: number} | null} the picture's size */
    this.size = null;
    this.buttons = WAYS.map(({ id, label }) => h("button", {
      type: "button", role: "tab", id: `img2img_tab_resize_${id}-button`, onclick: () => this.choose(id),
    }, label));
    this.box = h("div", { class: "easel-segments", role: "tablist", "aria-label": "Size" }, ...this.buttons);
    this.note = h("p", { class: "easel-hires-size", "aria-live": "polite" });
    this.detect = h("button", {
      type: "button", id: "img2img_detect_image_size_btn", class: "easel-button easel-square easel-size-tool",
      title: "Take the size of the picture", "aria-label": "Take the size of the picture", onclick: () => this.#detect(),
    }, "📐");
  }

  start() {
    whenPresent("#img2img_tabs_resize", (place) => place.replaceChildren(this.box));
    whenPresent("#img2img_scale_resolution_preview", (place) => place.replaceChildren(this.note));
    whenPresent("#img2img_detect_image_size", (place) => place.replaceChildren(this.detect));
    for (const { id } of WAYS) whenPresent(`#img2img_tab_resize_${id}`, () => this.#show());
    this.form.addEventListener("change", () => this.#show());
  }

  /** What is sent besides the fields. */
  values() {
    return { resize_by: this.way === "by" };
  }

  /** @param {Way} way */
  choose(way) {
    this.way = way;
    localStorage.setItem(KEY, way);
    this.#show();
  }

  /** Hear of another picture. @param {{width: number, height: number} | null} size */
  follow(size) {
    this.size = size;
    this.#show();
  }

  #detect() {
    if (!this.size) return;
    const whole = (/** @type {number} */ side) => Math.min(4096, Math.max(64, Math.round(side / STEP) * STEP));
    this.form.set({ width: whole(this.size.width), height: whole(this.size.height) });
  }

  #show() {
    WAYS.forEach(({ id }, place) => {
      const chosen = id === this.way;
      this.buttons[place].setAttribute("aria-selected", String(chosen));
      document.getElementById(`img2img_tab_resize_${id}`)?.toggleAttribute("data-easel-away", !chosen);
    });
    this.detect.toggleAttribute("disabled", !this.size);
    const { size } = this;
    this.note.hidden = !size;
    if (!size) return;
    const { width, height, scale_by: scale } = this.form.values;
    const scaled = (/** @type {number} */ side) => Math.floor((side * scale) / STEP + 1e-9) * STEP;
    const [across, down] = this.way === "by" ? [scaled(size.width), scaled(size.height)] : [width, height];
    const text = `${size.width}x${size.height} ${across}x${down}`;
    if (this.note.dataset.shown === text) return;
    this.note.dataset.shown = text;
    this.note.replaceChildren("from ", h("b", {}, `${size.width}x${size.height}`), " to ", h("b", {}, `${across}x${down}`));
  }
}
