/** A picture that can be drawn on: the canvas of img2img, sketch and inpaint. */
import { Refused } from "./api.js";
import { debounce, h } from "./dom.js";
import { blankFile, emptyLayer, flattenedFile, grownContent } from "./canvas_content.js";
import { wipe } from "./canvas_fill.js";
import { History } from "./canvas_history.js";
import { Keeper } from "./canvas_keeper.js";
import { Keys } from "./canvas_keys.js";
import { Masks } from "./canvas_masks.js";
import { readPicture } from "./canvas_picture.js";
import { maskOf } from "./canvas_pixels.js";
import { Pointer } from "./canvas_pointer.js";
import { Stage } from "./canvas_stage.js";
import { Toolbar } from "./canvas_toolbar.js";
import { Tools, parseColour } from "./canvas_tools.js";
import { DrawingSender, fetchKept, isKept, markSent, sendPicture } from "./canvas_upload.js";

/** After so long without a stroke the drawing goes to the server. */
const SEND_MS = 600;
const BLANK = { width: 512, height: 512 };

/**
 * @typedef {import("./canvas_tools.js").Brush} Brush
 * @typedef {import("./canvas_content.js").Content} Content
 * @typedef {import("./canvas_content.js").Draws} Draws
 * @typedef {{name: string, draws: Draws, label: string, messages: import("./messages.js").Messages, brush?: Partial<Brush>,
 *   blankSize?: () => {width: number, height: number}}} Wishes
 *   name: under which it is kept over a reload; label: for screen readers; brush.color of a mask: how it is shown;
 *   blankSize: what an empty sheet to sketch on measures
 */

/** Tells of another picture or none by "picture", and of a changed drawing by "drawing". */
export class PictureCanvas extends EventTarget {
  /** @param {Wishes} wishes */
  constructor({ name, draws, label, messages, brush = {}, blankSize = () => BLANK }) {
    super();
    this.draws = draws;
    this.label = label;
    this.messages = messages;
    this.blankSize = blankSize;
    /** @type {Content} */
    this.content = { picture: null, layer: null };
    this.history = new History();
    /** Whether nothing was done yet with a picture that came in place of another. */
    this.replaced = false;
    this.isLarge = false;
    this.keeper = new Keeper(name);
    this.sender = new DrawingSender(() => this.layer);
    this.tools = new Tools(this, brush);
    this.masks = new Masks(this);
    this.toolbar = new Toolbar(this);
    this.stage = new Stage(this);
    this.view = this.stage.view;
    this.element = h("div", { class: "easel-canvas", "data-name": name, "data-draws": draws, role: "group", "aria-label": label },
      this.toolbar.element, this.stage.element, this.toolbar.sliders);
    this.keys = new Keys(this, this.view.element);
    this.pointer = new Pointer(this, this.view, this.tools, this.keys);
    this.sendSoon = debounce(() => this.#sendDrawing(), SEND_MS);
    this.view.addEventListener("changed", (event) => this.#changed(/** @type {CustomEvent} */ (event).detail));
    this.update();
    /** How often another picture was asked for: only the last one counts. */
    this.asked = 0;
    /** @type {Promise<unknown>} ends when the picture that was asked for last is there */
    this.ready = this.#restore();
    /** @type {Promise<unknown>} ends when the picture has grown as often as was asked for */
    this.growing = Promise.resolve();
  }

  get layer() {
    return this.content.layer;
  }

  get canDraw() {
    return this.draws !== "nothing" && this.layer !== null;
  }

  /** @returns {{width: number, height: number} | null} of the picture, upright */
  size() {
    const { picture } = this.content;
    return picture && { width: picture.width, height: picture.height };
  }

  /**
   * Show a picture, or none. Throws Refused for what cannot be shown.
   * @param {Blob | null} blob @param {{id?: string}} [known] id: under which the server has it already
   */
  async setPicture(blob, { id = "" } = {}) {
    await this.#replace(async () => {
      if (!blob) return { picture: null, layer: null };
      const picture = await readPicture(blob);
      if (id) markSent(blob, { id, width: picture.width, height: picture.height });
      return { picture, layer: emptyLayer(this.draws, picture) };
    });
  }

  /** Show a picture that the server keeps, and a mask over it. @param {string} id @param {string} [maskId] */
  async setPictureById(id, maskId = "") {
    await this.#replace(async () => {
      const [blob, mask] = await Promise.all([fetchKept(id), maskId ? fetchKept(maskId) : null]);
      const picture = await readPicture(blob);
      const layer = emptyLayer(this.draws, picture);
      markSent(blob, { id, width: picture.width, height: picture.height });
      if (mask && layer && this.draws === "mask") maskOf(layer, await readPicture(mask));
      return { picture, layer };
    });
  }

  /** Show a file that the user chose, and say so if that is not possible. @param {Blob} file */
  async open(file) {
    await this.setPicture(file).catch((error) => this.messages.failure(error));
  }

  /** Begin with a white sheet. */
  async startBlank() {
    await this.open(await blankFile(this.blankSize()));
  }

  /**
   * Make sure that everything is at the server. Throws Refused.
   * @returns {Promise<{picture: string, drawing: string}>} ids, "" for what there is not
   */
  async ids() {
    await this.growing;
    await this.ready;
    const { content } = this;
    if (!content.picture) return { picture: "", drawing: "" };
    const [{ id }, drawing] = await Promise.all([sendPicture(content.picture.blob), this.sender.send()]);
    return content === this.content ? { picture: id, drawing } : this.ids();
  }

  /** The picture as it is seen, with coloured strokes; a mask is left out. @returns {Promise<Blob | null>} */
  async flattened() {
    await this.growing;
    await this.ready;
    return flattenedFile(this.content);
  }

  /** Let the picture grow by pixels on its sides; what is new is masked. @param {{left?: number, right?: number, up?: number, down?: number}} sides */
  extend({ left = 0, right = 0, up = 0, down = 0 }) {
    const grow = () => this.#load(() => grownContent(this.content, this.draws, { left, right, up, down }), () => this.#remember(this.#stepTo(this.content)));
    // One after the other: two clicks in a row mean both.
    this.growing = this.growing.then(() => this.ready).then(grow).catch((error) => this.messages.failure(error));
    return this.growing;
  }

  clear() {
    if (this.layer) this.drew(wipe(this.layer));
  }

  undo() {
    if (!this.tools.isDrawing && this.history.undo()) this.#drawn();
  }

  redo() {
    if (!this.tools.isDrawing && this.history.redo()) this.#drawn();
  }

  /** Note an edit that is complete. @param {import("./canvas_history.js").Step | null} step */
  drew(step) {
    if (!step) return;
    this.#remember(step);
    this.#drawn();
  }

  /** Take back the stroke that is being drawn. */
  giveUp() {
    this.tools.cancel();
    this.stage.guide([]);
  }

  /** Fill the window with the canvas, or no longer. @param {boolean} large */
  enlarge(large) {
    this.isLarge = large;
    this.element.toggleAttribute("data-large", large);
    document.documentElement.toggleAttribute("data-easel-canvas-large", large);
    this.view.fit();
    this.update();
  }

  #drawn() {
    this.update();
    this.dispatchEvent(new Event("drawing"));
  }

  /** @param {import("./canvas_history.js").Step} step */
  #remember(step) {
    // Whoever works on the new picture does not mean to get the last one back by undoing once too often.
    if (this.replaced) this.history.clear();
    this.replaced = false;
    this.history.push(step);
  }

  /** Show another picture; until something is done with it, undo brings the last one back. @param {() => Promise<Content>} make */
  #replace(make) {
    return this.#load(make, () => {
      const step = this.#stepTo(this.content);
      this.history.clear();
      if (!this.content.picture) return;
      this.history.push(step);
      this.replaced = true;
    });
  }

  /** Bring something else onto the canvas, unless something else again was asked for meanwhile. @param {() => Promise<Content>} make @param {() => void} remember how to go back */
  #load(make, remember) {
    this.asked += 1;
    const number = this.asked;
    const work = (async () => {
      this.element.setAttribute("aria-busy", "true");
      const content = await make();
      if (number !== this.asked || content === this.content) return;
      if (!content.picture && !this.content.picture) return;
      this.tools.cancel();
      remember();
      this.#show(content);
    })();
    this.ready = work.catch(() => {}).then(() => number === this.asked && this.element.removeAttribute("aria-busy"));
    return work;
  }

  /** @param {Content} content @returns {import("./canvas_history.js").Step} */
  #stepTo(content) {
    const apply = () => {
      const inverse = this.#stepTo(this.content);
      this.#show(content);
      return inverse;
    };
    return { bytes: (content.layer?.bytes ?? 0) + (content.picture?.blob.size ?? 0), apply };
  }

  /** @param {Content} content @param {boolean} [restored] as it was kept */
  #show(content, restored = false) {
    const before = this.size();
    this.content = content;
    const { picture, layer } = content;
    const same = before?.width === picture?.width && before?.height === picture?.height;
    this.view.show(picture, layer, same);
    if (!picture && this.isLarge) this.enlarge(false);
    if (!restored) this.keeper.replace(content);
    this.sender.changed();
    this.update();
    this.dispatchEvent(new Event("picture"));
    this.dispatchEvent(new Event("drawing"));
    if (picture) this.#sendPicture(picture.blob);
  }

  async #restore() {
    const loaded = await this.keeper.load();
    if (!loaded || this.asked) return;
    try {
      const { kept, tiles } = loaded;
      const picture = await readPicture(kept.blob);
      if (kept.id && (await isKept(kept.id))) markSent(kept.blob, kept);
      if (this.asked) return;
      const layer = emptyLayer(this.draws, picture);
      for (const [index, tile] of tiles) layer?.put(index, tile);
      this.keeper.adopt({ picture, layer }, kept);
      this.#show({ picture, layer }, true);
      this.#sendDrawing();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  /** @param {number} index of a tile */
  #changed(index) {
    this.sender.changed();
    this.keeper.note(index);
    this.sendSoon();
  }

  /** @param {Blob} blob */
  async #sendPicture(blob) {
    try {
      this.keeper.identify(blob, (await sendPicture(blob)).id);
    } catch (error) {
      if (this.content.picture?.blob === blob) this.messages.failure(error);
    }
  }

  async #sendDrawing() {
    // Should it fail, it is sent when it is needed, and that is when the user is told.
    if (!this.tools.isDrawing) await this.sender.send().catch(() => {});
  }

  /** Show everything as it is now. */
  update() {
    this.toolbar.update();
    this.stage.update();
    const { brush } = this.tools;
    const tint = parseColour(brush.color);
    if (this.draws === "mask" && String(tint) !== String(this.view.tint)) this.view.tinge(tint);
    this.view.overlay.style.opacity = this.draws === "mask" ? String(brush.opacity) : "";
    if (this.pointer?.hover) this.stage.cursor(this.view.inView(this.pointer.hover));
  }
}
