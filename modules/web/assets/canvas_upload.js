/** The way of pictures and drawings to the server: in the background, each content once. */
import { Refused, postFile } from "./api.js";
import { encodeLayer } from "./canvas_png.js";

/** @typedef {{id: string, width: number, height: number}} Kept */

/** What was sent as this very object; pictures are copied between canvases. @type {WeakMap<Blob, Promise<Kept>>} */
const SENT = new WeakMap();

/** Send a picture unless that was done, and return what the server says of it. @param {Blob} blob @returns {Promise<Kept>} */
export function sendPicture(blob) {
  let sent = SENT.get(blob);
  if (!sent) {
    sent = /** @type {Promise<Kept>} */ (postFile("/easel/inputs", blob));
    SENT.set(blob, sent);
    // What failed is tried again when it is needed.
    sent.catch(() => SENT.delete(blob));
  }
  return sent;
}

/** Say that the server has a picture already. @param {Blob} blob @param {Kept} kept */
export function markSent(blob, kept) {
  SENT.set(blob, Promise.resolve(kept));
}

/** Ask whether the server still has a picture. @param {string} id */
export async function isKept(id) {
  const answer = await fetch(`/easel/inputs/${id}`, { method: "HEAD" }).catch(() => null);
  return answer === null || answer.ok;
}

/** Fetch a kept picture. @param {string} id */
export async function fetchKept(id) {
  const answer = await fetch(`/easel/inputs/${id}`).catch(() => null);
  if (!answer?.ok) throw new Refused("The picture is not at the server any more.");
  return answer.blob();
}

/** Sends a drawing whenever it differs from what was sent last. */
export class DrawingSender {
  /** @param {() => import("./canvas_layer.js").Layer | null} layer returns what is drawn on now */
  constructor(layer) {
    this.layer = layer;
    this.version = 0;
    this.sentVersion = -1;
    this.id = "";
    /** @type {Promise<string> | null} */
    this.running = null;
  }

  /** Note that the drawing is another one. */
  changed() {
    this.version += 1;
  }

  /** Note that the server has the drawing as it is now. @param {string} id */
  known(id) {
    this.id = id;
    this.sentVersion = this.version;
  }

  /** Return the id of the drawing as it is now, "" when nothing is drawn; sends what is not sent yet. @returns {Promise<string>} */
  send() {
    this.running ??= this.#send().finally(() => (this.running = null));
    return this.running;
  }

  async #send() {
    while (this.sentVersion !== this.version) {
      const version = this.version;
      const layer = this.layer();
      if (!layer || layer.isEmpty()) {
        this.known("");
        continue;
      }
      const file = await encodeLayer(layer, () => this.version !== version);
      if (!file) continue;
      const { id } = await postFile("/easel/inputs", file);
      this.id = id;
      this.sentVersion = version;
    }
    return this.id;
  }
}
