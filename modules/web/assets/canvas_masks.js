/** What can be done with a mask as a whole: inverted, from a file and into one, out of the picture's transparency. */
import { h } from "./dom.js";
import { invert } from "./canvas_fill.js";
import { readPicture } from "./canvas_picture.js";
import { isTransparent, maskOf, maskOfAlpha } from "./canvas_pixels.js";
import { encodeLayer } from "./canvas_png.js";

/** How long a file that is offered for saving stays within reach. */
const OFFER_MS = 60_000;

export class Masks {
  /** @param {import("./canvas.js").PictureCanvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
  }

  invert() {
    const { layer } = this.canvas;
    if (layer) this.canvas.drew(invert(layer));
  }

  /** Take the mask from a picture file, stretched to the picture. @param {Blob} file */
  async load(file) {
    try {
      const picture = await readPicture(file);
      const { layer } = this.canvas;
      if (layer) this.canvas.drew(maskOf(layer, picture));
    } catch (error) {
      this.canvas.messages.failure(error);
    }
  }

  /** Mask what is transparent in the picture. */
  fromAlpha() {
    const { picture, layer } = this.canvas.content;
    if (!picture || !layer) return;
    if (isTransparent(picture)) this.canvas.drew(maskOfAlpha(layer, picture));
    else this.canvas.messages.note("This picture is not transparent anywhere.");
  }

  /** Offer the mask as a file. */
  async save() {
    const { picture, layer } = this.canvas.content;
    const file = layer && (await encodeLayer(layer));
    if (!picture || !file) return;
    const stem = picture.blob instanceof File ? picture.blob.name.replace(/\.[^.]*$/, "") : "picture";
    const address = URL.createObjectURL(file);
    h("a", { href: address, download: `${stem}-mask.png` }).click();
    setTimeout(() => URL.revokeObjectURL(address), OFFER_MS);
  }
}
