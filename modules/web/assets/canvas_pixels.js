/** Pixels between pictures and drawings: masks out of pictures, strokes onto pictures. */
import { TILE } from "./canvas_layer.js";
import { pixel } from "./canvas_fill.js";

/**
 * @typedef {import("./canvas_layer.js").Layer} Layer
 * @typedef {import("./canvas_layer.js").Box} Box
 * @typedef {import("./canvas_picture.js").Picture} Picture
 */

const OPAQUE = 255;
/** Of the standard by which colours become grey. */
const [RED, GREEN, BLUE] = [0.299, 0.587, 0.114];

/** Make a mask of a picture: its own opacity if it is transparent somewhere, else its brightness; stretched to the size. @param {Layer} layer @param {Picture} picture */
export function maskOf(layer, picture) {
  const same = picture.width === layer.width && picture.height === layer.height;
  const draw = (/** @type {CanvasRenderingContext2D} */ context) => {
    context.imageSmoothingEnabled = false;
    if (same) context.drawImage(picture.image, 0, 0);
    else context.drawImage(picture.image, 0, 0, layer.width, layer.height);
  };
  const masked = isTransparent(picture)
    ? (/** @type {Uint8ClampedArray} */ data, /** @type {number} */ spot) => data[spot + 3]
    : (/** @type {Uint8ClampedArray} */ data, /** @type {number} */ spot) => data[spot] * RED + data[spot + 1] * GREEN + data[spot + 2] * BLUE;
  return drawMask(layer, draw, masked);
}

/** Make a mask of what is transparent in a picture. @param {Layer} layer @param {Picture} picture */
export function maskOfAlpha(layer, picture) {
  return drawMask(layer, (context) => context.drawImage(picture.image, 0, 0), (data, spot) => OPAQUE - data[spot + 3]);
}

/** Mask what a picture has grown by, and put the old mask where it belongs now. @param {Layer} layer @param {Layer} old @param {{left: number, up: number}} shift */
export function maskGrowth(layer, old, { left, up }) {
  const tiles = [...old.tiles.keys()].map((index) => ({ box: old.boxOf(index), canvas: tileCanvas(old, index) }));
  drawMask(layer, (context, box) => {
    context.fillStyle = "white";
    context.fillRect(box.left, box.top, TILE, TILE);
    context.clearRect(left, up, old.width, old.height);
    for (const { box: place, canvas } of tiles) {
      const x = place.left + left;
      const y = place.top + up;
      if (x < box.right && x + TILE > box.left && y < box.bottom && y + TILE > box.top) context.drawImage(canvas, x, y);
    }
  }, (data, spot) => data[spot + 3]);
}

/** Draw strokes over what a context shows. @param {CanvasRenderingContext2D} context @param {Layer} layer */
export function drawLayer(context, layer) {
  for (const index of layer.tiles.keys()) {
    const { left, top } = layer.boxOf(index);
    context.drawImage(tileCanvas(layer, index), left, top);
  }
}

/** Return the colour that is seen at a place, like "#ff8000". @param {Picture} picture @param {Layer} layer @param {{x: number, y: number}} at */
export function colourAt(picture, layer, at) {
  const x = Math.min(Math.max(Math.floor(at.x), 0), picture.width - 1);
  const y = Math.min(Math.max(Math.floor(at.y), 0), picture.height - 1);
  const context = scratchContext(1);
  context.fillStyle = "white";
  context.fillRect(0, 0, 1, 1);
  context.drawImage(picture.image, -x, -y);
  const under = context.getImageData(0, 0, 1, 1).data;
  const over = pixel(layer, x, y);
  const part = over[3] / OPAQUE;
  return `#${[0, 1, 2].map((channel) => Math.round(over[channel] * part + under[channel] * (1 - part)).toString(16).padStart(2, "0")).join("")}`;
}

/** Say whether a picture is transparent anywhere. @param {Picture} picture */
export function isTransparent(picture) {
  const context = scratchContext(TILE);
  for (let top = 0; top < picture.height; top += TILE) {
    for (let left = 0; left < picture.width; left += TILE) {
      context.clearRect(0, 0, TILE, TILE);
      context.drawImage(picture.image, -left, -top);
      const width = Math.min(TILE, picture.width - left);
      const { data } = context.getImageData(0, 0, width, Math.min(TILE, picture.height - top));
      for (let spot = 3; spot < data.length; spot += 4) if (data[spot] !== OPAQUE) return true;
    }
  }
  return false;
}

/**
 * Fill a mask with what is drawn, as one edit.
 * @param {Layer} layer @param {(context: CanvasRenderingContext2D, box: Box) => void} draw draws in pixels of the picture, at least what is in the box
 * @param {(data: Uint8ClampedArray, spot: number) => number} masked how much a pixel of what was drawn is masked, 0 to 255
 */
function drawMask(layer, draw, masked) {
  const context = scratchContext(TILE);
  layer.begin();
  for (const index of layer.touched(layer.bounds)) {
    const box = layer.boxOf(index);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, TILE, TILE);
    context.translate(-box.left, -box.top);
    draw(context, box);
    const { data } = context.getImageData(0, 0, TILE, TILE);
    const tile = layer.writable(index);
    for (let y = 0; y < box.bottom - box.top; y += 1) {
      for (let spot = y * TILE, end = spot + box.right - box.left; spot < end; spot += 1) tile[spot] = masked(data, spot * 4);
    }
    if (layer.packed(index) === null) layer.put(index, null);
    else layer.onchange(index, box);
  }
  return layer.commit();
}

/** @param {Layer} layer @param {number} index */
function tileCanvas(layer, index) {
  const context = scratchContext(TILE);
  const tile = /** @type {Uint8ClampedArray<ArrayBuffer>} */ (layer.tiles.get(index));
  const pixels = layer.channels === 4 ? new ImageData(tile, TILE, TILE) : new ImageData(TILE, TILE);
  if (layer.channels === 1) for (let spot = 0; spot < tile.length; spot += 1) pixels.data[spot * 4 + 3] = tile[spot];
  context.putImageData(pixels, 0, 0);
  return context.canvas;
}

/** @param {number} side */
function scratchContext(side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
}
