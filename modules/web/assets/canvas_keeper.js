/** Saves what is on a canvas while it is worked on, so that a reload brings it back, an unfinished stroke included. */
import { CanvasStore } from "./canvas_store.js";

const SAVE_MS = 250;

/** @typedef {import("./canvas.js").Content} Content */

export class Keeper {
  /** @param {string} name of the canvas */
  constructor(name) {
    this.store = new CanvasStore(name);
    /** @type {import("./canvas_store.js").Kept | null} */
    this.kept = null;
    /** @type {import("./canvas_layer.js").Layer | null} */
    this.layer = null;
    /** @type {Set<number>} tiles that are not saved yet */
    this.changed = new Set();
    this.timer = 0;
    window.addEventListener("pagehide", () => this.flush());
    document.addEventListener("visibilitychange", () => document.hidden && this.flush());
  }

  /** What was kept under this name. */
  load() {
    return this.store.load();
  }

  /** Go on with what was loaded. @param {Content} content @param {import("./canvas_store.js").Kept} kept */
  adopt({ layer }, kept) {
    this.layer = layer;
    this.kept = kept;
  }

  /** Keep another picture and what is drawn over it. @param {Content} content */
  replace({ picture, layer }) {
    this.layer = layer;
    this.changed = new Set(layer?.tiles.keys());
    this.kept = picture && {
      blob: picture.blob, name: picture.blob instanceof File ? picture.blob.name : "", id: "",
      width: picture.width, height: picture.height, mark: `${Date.now()}-${Math.random()}`,
    };
    this.store.savePicture(this.kept);
    this.flush();
  }

  /** Remember under which id the server has the picture. @param {Blob} blob @param {string} id */
  identify(blob, id) {
    if (this.kept?.blob !== blob || this.kept.id === id) return;
    this.kept.id = id;
    this.store.updatePicture(this.kept);
  }

  /** Save a tile soon. @param {number} index */
  note(index) {
    this.changed.add(index);
    this.timer ||= window.setTimeout(() => this.flush(), SAVE_MS);
  }

  /** Save at once what is not saved. */
  flush() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (!this.changed.size || !this.layer || !this.kept) return;
    const { layer } = this;
    this.store.saveTiles(this.kept.mark, new Map([...this.changed].map((index) => [index, layer.packed(index)])));
    this.changed.clear();
  }
}
