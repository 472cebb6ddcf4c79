/** What is on a canvas, made into something else: a flat picture, a larger one, a white sheet. */
import { Layer } from "./canvas_layer.js";
import { drawMirrored, drawnFile, readPicture } from "./canvas_picture.js";
import { drawLayer, maskGrowth } from "./canvas_pixels.js";

/**
 * @typedef {{picture: import("./canvas_picture.js").Picture | null, layer: Layer | null}} Content
 * @typedef {"nothing" | "mask" | "colour"} Draws
 */

/** @param {Draws} draws @param {{width: number, height: number}} size @returns {Layer | null} what is drawn on over a picture of this size */
export function emptyLayer(draws, { width, height }) {
  return draws === "nothing" ? null : new Layer(width, height, draws === "mask" ? 1 : 4);
}

/** The picture with its coloured strokes; a mask is left out. @param {Content} content @returns {Promise<Blob | null>} */
export async function flattenedFile({ picture, layer }) {
  if (!picture || layer?.channels !== 4 || layer.isEmpty()) return picture && picture.blob;
  return drawnFile(picture, (context) => {
    context.drawImage(picture.image, 0, 0);
    drawLayer(context, layer);
  });
}

/** A picture grown by pixels on its sides; what is new mirrors what is there. @param {Content} content @param {Draws} draws @param {{left: number, right: number, up: number, down: number}} sides */
export async function grownContent({ picture, layer: old }, draws, { left, right, up, down }) {
  if (!picture) return { picture: null, layer: null };
  const size = { width: picture.width + left + right, height: picture.height + up + down };
  const grown = await readPicture(await drawnFile(size, (context) => drawMirrored(context, picture, { left, up })));
  const layer = emptyLayer(draws, grown);
  if (layer && old && draws === "mask") maskGrowth(layer, old, { left, up });
  return { picture: grown, layer };
}

/** A white picture to draw on. @param {{width: number, height: number}} size */
export function blankFile(size) {
  return drawnFile(size, (context) => {
    context.fillStyle = "white";
    context.fillRect(0, 0, size.width, size.height);
  });
}
