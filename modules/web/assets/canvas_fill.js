/** Filling: the region that lies around a place, what an outline encloses, or everything. */
import { TILE } from "./canvas_layer.js";

/** How far two colours may differ in each channel and still be one region. */
const TOLERANCE = 32;
const PAINTED = 128;
const OTHER = 0;
const SAME = 1;
const FILLED = 2;

/**
 * @typedef {import("./canvas_layer.js").Layer} Layer
 * @typedef {import("./canvas_brush.js").Edit} Edit
 * @typedef {{x: number, y: number}} Point in pixels of the picture
 */

/** Fill the region around a place: up to where something else is drawn. @param {Edit} edit @param {Point} at */
export function fillRegion(edit, at) {
  const { layer } = edit;
  const { width, height } = layer;
  if (layer.isEmpty()) {
    coverTiles(edit, (cover) => Boolean(cover.fill(255)));
    return;
  }
  const region = sameAs(layer, Math.floor(at.x), Math.floor(at.y));
  flood(region, width, height, Math.floor(at.x), Math.floor(at.y));
  coverTiles(edit, (cover, box) => {
    let any = false;
    for (let y = box.top; y < box.bottom; y += 1) {
      for (let x = box.left; x < box.right; x += 1) {
        const spot = y * width + x;
        // A pixel more on every side, so that no fringe stays along soft edges.
        const filled = region[spot] === FILLED || (x > 0 && region[spot - 1] === FILLED) || (x + 1 < width && region[spot + 1] === FILLED)
          || (y > 0 && region[spot - width] === FILLED) || (y + 1 < height && region[spot + width] === FILLED);
        if (!filled) continue;
        cover[(y - box.top) * TILE + x - box.left] = 255;
        any = true;
      }
    }
    return any;
  });
}

/** Fill what an outline encloses. @param {Edit} edit @param {Point[]} outline */
export function fillOutline(edit, outline) {
  const path = new Path2D();
  for (const { x, y } of outline) path.lineTo(x, y);
  path.closePath();
  const scratch = document.createElement("canvas");
  scratch.width = scratch.height = TILE;
  const context = /** @type {CanvasRenderingContext2D} */ (scratch.getContext("2d", { willReadFrequently: true }));
  coverTiles(edit, (cover, box) => {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, TILE, TILE);
    context.translate(-box.left, -box.top);
    context.fill(path);
    const { data } = context.getImageData(0, 0, TILE, TILE);
    let any = false;
    for (let spot = 0; spot < cover.length; spot += 1) {
      cover[spot] = data[spot * 4 + 3];
      any ||= cover[spot] > 0;
    }
    return any;
  }, boundsOf(outline));
}

/** Exchange what is masked and what is not. @param {Layer} layer @returns {import("./canvas_history.js").Step | null} */
export function invert(layer) {
  layer.begin();
  for (const index of layer.touched(layer.bounds)) {
    const tile = layer.writable(index);
    const box = layer.boxOf(index);
    // What of a tile lies outside of the picture stays empty.
    for (let y = 0; y < box.bottom - box.top; y += 1) {
      for (let spot = y * TILE, end = spot + box.right - box.left; spot < end; spot += 1) tile[spot] = 255 - tile[spot];
    }
    layer.onchange(index, box);
  }
  return layer.commit();
}

/** Remove everything that is drawn. @param {Layer} layer @returns {import("./canvas_history.js").Step | null} */
export function wipe(layer) {
  layer.begin();
  for (const index of [...layer.tiles.keys()]) {
    layer.writable(index);
    layer.put(index, null);
  }
  return layer.commit();
}

/**
 * @param {Edit} edit @param {(cover: Uint8Array, box: import("./canvas_layer.js").Box) => boolean} fill says whether anything is covered
 * @param {import("./canvas_layer.js").Box} [bounds]
 */
function coverTiles(edit, fill, bounds = edit.layer.bounds) {
  for (const index of edit.layer.touched(bounds)) {
    const box = edit.layer.boxOf(index);
    if (fill(edit.cover(index), box)) edit.blend(index);
    edit.covers.delete(index);
  }
}

/** @param {Point[]} outline */
function boundsOf(outline) {
  const across = outline.map((point) => point.x);
  const down = outline.map((point) => point.y);
  return {
    left: Math.floor(Math.min(...across)), top: Math.floor(Math.min(...down)),
    right: Math.ceil(Math.max(...across)), bottom: Math.ceil(Math.max(...down)),
  };
}

/** Mark every pixel that looks like the one at a place. @param {Layer} layer @param {number} x @param {number} y */
function sameAs(layer, x, y) {
  const { width, channels } = layer;
  const wanted = pixel(layer, x, y);
  const same = channels === 1
    ? (/** @type {Uint8ClampedArray} */ tile, /** @type {number} */ spot) => tile[spot] >= PAINTED === wanted[0] >= PAINTED
    : (/** @type {Uint8ClampedArray} */ tile, /** @type {number} */ spot) => alike(tile, spot * 4, wanted);
  const empty = same(new Uint8ClampedArray(channels), 0);
  const region = new Uint8Array(width * layer.height).fill(empty ? SAME : OTHER);
  for (const [index, tile] of layer.tiles) {
    const box = layer.boxOf(index);
    for (let row = box.top; row < box.bottom; row += 1) {
      const line = (row - box.top) * TILE - box.left;
      for (let column = box.left; column < box.right; column += 1) region[row * width + column] = same(tile, line + column) ? SAME : OTHER;
    }
  }
  return region;
}

/** @param {Uint8ClampedArray} tile @param {number} place @param {number[]} wanted */
function alike(tile, place, wanted) {
  const alpha = tile[place + 3];
  if (Math.abs(alpha - wanted[3]) > TOLERANCE) return false;
  if (alpha <= TOLERANCE) return true;
  return [0, 1, 2].every((channel) => Math.abs(tile[place + channel] - wanted[channel]) <= TOLERANCE);
}

/** What is drawn at a place, by channels. @param {Layer} layer @param {number} x @param {number} y */
export function pixel(layer, x, y) {
  const tile = layer.tiles.get(Math.floor(y / TILE) * layer.columns + Math.floor(x / TILE));
  const place = ((y % TILE) * TILE + (x % TILE)) * layer.channels;
  return tile ? [...tile.subarray(place, place + layer.channels)] : new Array(layer.channels).fill(0);
}

/**
 * Turn everything that hangs together with a place from SAME to FILLED, line by line.
 * @param {Uint8Array} region @param {number} width @param {number} height @param {number} x @param {number} y
 */
function flood(region, width, height, x, y) {
  const waiting = [y * width + x];
  while (waiting.length) {
    const spot = /** @type {number} */ (waiting.pop());
    if (region[spot] !== SAME) continue;
    const line = Math.floor(spot / width) * width;
    let left = spot;
    let right = spot;
    while (left > line && region[left - 1] === SAME) left -= 1;
    while (right < line + width - 1 && region[right + 1] === SAME) right += 1;
    region.fill(FILLED, left, right + 1);
    for (const other of [line - width, line + width]) {
      if (other < 0 || other >= width * height) continue;
      const shift = other - line;
      for (let place = left + shift; place <= right + shift; place += 1) {
        if (region[place] === SAME && (place === left + shift || region[place - 1] !== SAME)) waiting.push(place);
      }
    }
  }
}
