/** The pictures of the img2img tab: A1111's six sub-tabs, each with its canvas, and what they send. */
import { PictureCanvas } from "./canvas.js";
import { h, whenPresent } from "./dom.js";

const KEY = "easel.img2img.mode";

/** @typedef {{id: string, tab: string, label: string, draws: "nothing" | "mask" | "colour" | null, element: string}} Mode */

/** A1111's sub-tabs by its names and in its order. @type {Mode[]} */
const MODES = [
  { id: "img2img", tab: "img2img_img2img_tab", label: "img2img", draws: "nothing", element: "img2img_image" },
  { id: "sketch", tab: "img2img_img2img_sketch_tab", label: "Sketch", draws: "colour", element: "img2img_sketch" },
  { id: "inpaint", tab: "img2img_inpaint_tab", label: "Inpaint", draws: "mask", element: "img2maskimg" },
  { id: "inpaint_sketch", tab: "img2img_inpaint_sketch_tab", label: "Inpaint sketch", draws: "colour", element: "inpaint_sketch" },
  { id: "inpaint_upload", tab: "img2img_inpaint_upload_tab", label: "Inpaint upload", draws: "nothing", element: "img_inpaint_base" },
  { id: "batch", tab: "img2img_batch_tab", label: "Batch", draws: null, element: "img2img_batch" },
];
const COPIES = MODES.filter(({ id }) => ["img2img", "sketch", "inpaint", "inpaint_sketch"].includes(id));
/** On the page while the chosen checkpoint works with a depth map. */
const DEPTH = "data-easel-depth";
const BRUSHES = { nothing: undefined, mask: { size: 64, color: "#ffffff" }, colour: { size: 24, color: "#e53935" } };

export class SourcePanel {
  /** @param {import("./img2img_page.js").Img2ImgPage} page */
  constructor(page) {
    this.page = page;
    this.form = page.form;
    const { messages } = page.shared;
    /** @type {Map<string, PictureCanvas>} the sub-tabs' canvases, made when they are first shown */
    this.canvases = new Map();
    this.messages = messages;
    /** @type {Promise<import("./batch.js").BatchPanel> | null} */
    this.batch = null;
    this.mode = MODES.some(({ id }) => id === localStorage.getItem(KEY)) ? String(localStorage.getItem(KEY)) : "img2img";
    this.tabs = MODES.map(({ id, tab, label }) => h("button", {
      type: "button", role: "tab", id: tab, "data-mode": id, onclick: () => this.choose(id),
    }, label));
    const list = h("div", { class: "easel-inner-tabs easel-modes", role: "tablist", id: "mode_img2img", "aria-label": "Kinds of pictures" }, ...this.tabs);
    list.addEventListener("keydown", (event) => this.#step(event));
    this.panels = new Map(MODES.map((mode) => [mode.id, h("div", { class: "easel-mode", role: "tabpanel", "aria-labelledby": mode.tab, id: mode.element })]));
    this.copies = h("div", { class: "easel-copies" }, h("span", { class: "easel-soft" }, "Copy to"), ...COPIES.map(({ id, label }) => h("button", {
      type: "button", class: "easel-quiet", id: `img2img_copy_to_${id}`, "data-copy": id, onclick: () => this.#copy(id),
    }, label)));
    this.depth = h("div", { class: "easel-depth" });
    new MutationObserver(() => this.#fillDepth()).observe(document.documentElement, { attributeFilter: [DEPTH] });
    this.box = h("div", { class: "easel-pictures" }, list, ...this.panels.values(), this.copies);
    whenPresent("#img2img_settings", () => this.#mark());
    this.choose(this.mode);
  }

  /** Open a sub-tab. @param {string} mode */
  choose(mode) {
    this.mode = mode;
    localStorage.setItem(KEY, mode);
    this.#fill(mode);
    this.#mark();
    this.#tellSize();
  }

  /**
   * What is sent besides the form's fields: the sub-tab and its pictures at the server. In a batch the job is made
   * here, and nothing is left to be sent.
   * @param {Record<string, any>} values @returns {Promise<Record<string, any> | null>}
   */
  async values(values) {
    try {
      if (this.mode === "batch") {
        await (await this.#batch()).submit({ ...values, ...this.page.resizing.values() });
        this.page.outcome.show("{}");
        return null;
      }
      return await this.pictures();
    } catch (error) {
      this.page.outcome.refused(error);
      return null;
    }
  }

  /** The open sub-tab, and the ids of what it holds at the server; in a batch none. Throws Refused. */
  async pictures() {
    const { mode } = this;
    if (mode === "batch") return { mode, picture: "", drawing: "", depth: "" };
    const { picture, drawing } = await this.#canvas(mode).ids();
    const loaded = mode === "inpaint_upload" ? (await this.#canvas("inpaint_mask").ids()).picture : drawing;
    const deep = mode === "img2img" && document.documentElement.hasAttribute(DEPTH);
    const depth = deep ? (await this.#canvas("img2img_depth").ids()).picture : "";
    return { mode, picture, drawing: loaded, depth };
  }

  /** Show a picture in a sub-tab, null: the open one. @param {string | null} mode @param {File | Blob} picture */
  async take(mode, picture) {
    const wanted = mode ?? (this.mode === "batch" ? "img2img" : this.mode);
    this.choose(wanted);
    await this.#canvas(wanted).setPicture(picture);
  }

  /** Show the pictures of a job. @param {Record<string, any>} request */
  async use(request) {
    const wanted = request.mask_image ? "inpaint" : "img2img";
    this.choose(wanted);
    await this.#canvas(wanted).setPictureById(request.init_image, request.mask_image || undefined);
    if (request.depth_image) await this.#canvas("img2img_depth").setPictureById(request.depth_image);
    else await this.canvases.get("img2img_depth")?.setPicture(null);
  }

  /** @param {string} name @returns {PictureCanvas} */
  #canvas(name) {
    if (name === "img2img_depth") this.#fillDepth(true);
    else this.#fill(name === "inpaint_mask" ? "inpaint_upload" : name);
    const canvas = this.canvases.get(name);
    if (!canvas) throw new Error(`there is no canvas ${name}`);
    return canvas;
  }

  /** Put into a sub-tab what belongs there. @param {string} id */
  #fill(id) {
    const mode = MODES.find((each) => each.id === id);
    const panel = this.panels.get(id);
    if (!mode || !panel || panel.firstChild) return;
    if (!mode.draws) {
      this.#batch().then((batch) => panel.replaceChildren(batch.element), (error) => this.messages.failure(error));
      return;
    }
    const upload = id === "inpaint_upload";
    panel.append(this.#make(id, mode.draws, upload ? "The picture" : mode.label).element);
    if (upload) panel.append(this.#make("inpaint_mask", "nothing", "The mask: white is painted anew").element);
    if (id !== "img2img") return;
    panel.append(this.depth);
    this.#fillDepth();
  }

  /** Make the depth map's place as soon as it is needed. */
  #fillDepth(needed = document.documentElement.hasAttribute(DEPTH)) {
    if (!needed || this.depth.firstChild) return;
    const hint = h("span", { class: "easel-soft" }, "Depth map: white is nearest. Without one it is estimated.");
    this.depth.append(hint, this.#make("img2img_depth", "nothing", "Depth map").element);
  }

  /** @returns {Promise<import("./batch.js").BatchPanel>} */
  #batch() {
    this.batch ??= import("./batch.js").then(({ BatchPanel }) => new BatchPanel(this.form, this.messages)).catch((error) => {
      this.batch = null;
      throw error;
    });
    return this.batch;
  }

  /** @param {string} name @param {"nothing" | "mask" | "colour"} draws @param {string} label */
  #make(name, draws, label) {
    const canvas = new PictureCanvas({
      name, draws, label, messages: this.messages, brush: BRUSHES[draws],
      blankSize: () => ({ width: this.form.values.width, height: this.form.values.height }),
    });
    canvas.addEventListener("picture", () => this.#tellSize());
    this.canvases.set(name, canvas);
    return canvas;
  }

  #tellSize() {
    this.page.resizing.follow(this.canvases.get(this.mode)?.size() ?? null);
  }

  /** @param {string} to */
  async #copy(to) {
    if (this.mode === "batch") return;
    const from = this.#canvas(this.mode);
    if (!from.size()) {
      this.messages.note("There is no picture to copy yet.");
      return;
    }
    try {
      const picture = await from.flattened();
      if (picture) await this.take(to, picture);
    } catch (error) {
      this.messages.failure(error);
    }
  }

  #mark() {
    for (const button of this.tabs) {
      const chosen = button.dataset.mode === this.mode;
      button.setAttribute("aria-selected", String(chosen));
      button.classList.toggle("selected", chosen);
      button.tabIndex = chosen ? 0 : -1;
    }
    for (const [id, panel] of this.panels) panel.hidden = id !== this.mode;
    this.copies.hidden = this.mode === "batch";
    for (const button of this.copies.querySelectorAll("[data-copy]")) {
      /** @type {HTMLElement} */ (button).hidden = /** @type {HTMLElement} */ (button).dataset.copy === this.mode;
    }
    const settings = document.getElementById("img2img_settings");
    if (settings) settings.dataset.easelMode = this.mode;
  }

  /** Left and Right go to the sub-tab beside. @param {KeyboardEvent} event */
  #step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = this.tabs[(MODES.findIndex(({ id }) => id === this.mode) + by + MODES.length) % MODES.length];
    next.focus();
    this.choose(next.dataset.mode ?? "img2img");
  }
}
