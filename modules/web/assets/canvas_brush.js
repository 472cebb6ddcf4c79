/** Painting into a layer: every tool says how much of each pixel it covers, and the ink is laid over what was there. */
import { TILE } from "./canvas_layer.js";

/**
 * @typedef {import("./canvas_layer.js").Layer} Layer
 * @typedef {import("./canvas_layer.js").Box} Box
 * @typedef {{erase: boolean, colour: [number, number, number], opacity: number}} Ink opacity from 0 to 1
 * @typedef {{x: number, y: number, radius: number}} Dab a place of the brush, in pixels of the picture
 */

/** One edit of a layer: covers grow, and what covers itself is not laid on twice. */
export class Edit {
  /** @param {Layer} layer @param {Ink} ink */
  constructor(layer, ink) {
    this.layer = layer;
    this.ink = ink;
    /** @type {Map<number, Uint8Array>} how much of each pixel of a tile is covered, 0 to 255 */
    this.covers = new Map();
    /** From where to where the rows of a tile are to be blended: two numbers for each. */
    this.spans = new Int16Array(TILE * 2);
    layer.begin();
  }

  /** @param {number} index */
  cover(index) {
    let cover = this.covers.get(index);
    if (!cover) this.covers.set(index, (cover = new Uint8Array(TILE * TILE)));
    return cover;
  }

  /** Lay the ink on wherever a tile is covered. @param {number} index */
  blend(index) {
    const place = this.layer.boxOf(index);
    const width = place.right - place.left;
    const height = place.bottom - place.top;
    for (let row = 0; row < height; row += 1) {
      this.spans[row * 2] = 0;
      this.spans[row * 2 + 1] = width;
    }
    this.#blend(index, { left: 0, top: 0, right: width, bottom: height });
  }

  /** Draw with a round brush from one place to another. @param {Dab} from @param {Dab} to @param {number} hardness from 0 to 1 */
  line(from, to, hardness) {
    const { layer, spans } = this;
    const box = {
      left: Math.floor(Math.min(from.x - from.radius, to.x - to.radius) - 1), top: Math.floor(Math.min(from.y - from.radius, to.y - to.radius) - 1),
      right: Math.ceil(Math.max(from.x + from.radius, to.x + to.radius) + 1), bottom: Math.ceil(Math.max(from.y + from.radius, to.y + to.radius) + 1),
    };
    for (const index of layer.touched(box)) {
      const place = layer.boxOf(index);
      const inside = {
        left: Math.max(box.left, place.left), top: Math.max(box.top, place.top),
        right: Math.min(box.right, place.right), bottom: Math.min(box.bottom, place.bottom),
      };
      const changed = coverLine({ cover: this.cover(index), spans, place }, inside, from, to, hardness);
      if (changed) this.#blend(index, changed);
    }
  }

  /** @param {number} index @param {Box} box within the tile; of its rows only the spans are blended */
  #blend(index, box) {
    const { layer, ink } = this;
    if (ink.erase && !layer.tiles.has(index)) return;
    const tile = layer.writable(index);
    const before = layer.before?.get(index) ?? null;
    const blend = layer.channels === 1 ? blendMask : blendColour;
    const cover = this.cover(index);
    for (let row = box.top; row < box.bottom; row += 1) {
      blend({ tile, before, cover, ink }, row * TILE + this.spans[row * 2], row * TILE + this.spans[row * 2 + 1]);
    }
    const { left, top } = layer.boxOf(index);
    layer.onchange(index, { left: left + box.left, top: top + box.top, right: left + box.right, bottom: top + box.bottom });
  }

  /** @returns {import("./canvas_history.js").Step | null} how to undo it; null when nothing was painted */
  end() {
    return this.layer.commit();
  }

  cancel() {
    this.layer.cancel();
  }
}

/**
 * Cover what a brush passes over on its way: its radius changes evenly, and its edge falls off over what hardness leaves.
 * @param {{cover: Uint8Array, spans: Int16Array, place: Box}} part a tile and where it lies; `spans` gets from where to where each row changed
 * @param {Box} box what of it may be touched, in the picture
 * @param {Dab} from @param {Dab} to @param {number} hardness
 * @returns {Box | null} what changed, within the tile
 */
function coverLine({ cover, spans, place }, box, from, to, hardness) {
  const changed = { left: TILE, top: TILE, right: 0, bottom: 0 };
  const alongX = to.x - from.x;
  const alongY = to.y - from.y;
  const length = alongX * alongX + alongY * alongY;
  const scale = length > 0 ? 1 / length : 0;
  const growth = to.radius - from.radius;
  for (let y = box.top; y < box.bottom; y += 1) {
    const dy = y + 0.5 - from.y;
    const row = y - place.top;
    let first = TILE;
    let last = -1;
    for (let x = box.left; x < box.right; x += 1) {
      const column = x - place.left;
      const old = cover[row * TILE + column];
      if (old === 255) continue;
      const dx = x + 0.5 - from.x;
      let part = (dx * alongX + dy * alongY) * scale;
      part = part < 0 ? 0 : part > 1 ? 1 : part;
      const offX = dx - part * alongX;
      const offY = dy - part * alongY;
      const value = strength(offX * offX + offY * offY, from.radius + part * growth, hardness);
      if (value <= old) continue;
      cover[row * TILE + column] = value;
      if (column < first) first = column;
      last = column;
    }
    spans[row * 2] = first;
    spans[row * 2 + 1] = last + 1;
    if (last < 0) continue;
    changed.left = Math.min(changed.left, first);
    changed.right = Math.max(changed.right, last + 1);
    changed.top = Math.min(changed.top, row);
    changed.bottom = row + 1;
  }
  return changed.bottom ? changed : null;
}

/** How much a brush covers at a distance from its middle, 0 to 255. @param {number} square of the distance @param {number} radius @param {number} hardness */
function strength(square, radius, hardness) {
  const outer = radius + 0.5;
  if (square >= outer * outer) return 0;
  const soft = Math.max(radius * (1 - hardness), 1);
  const core = outer - soft;
  if (core > 0 && square <= core * core) return 255;
  const depth = Math.min((outer - Math.sqrt(square)) / soft, 1);
  return Math.trunc((soft === 1 ? depth : depth * depth * (3 - 2 * depth)) * 255);
}

/** @typedef {{tile: Uint8ClampedArray, before: Uint8ClampedArray | null, cover: Uint8Array, ink: Ink}} Blending */

/** @param {Blending} blending @param {number} start @param {number} end first pixel of the tile, and the first after */
function blendMask({ tile, before, cover, ink }, start, end) {
  for (let spot = start; spot < end; spot += 1) {
    const old = before ? before[spot] : 0;
    tile[spot] = ink.erase ? (old * (255 - cover[spot])) / 255 : old + ((255 - old) * cover[spot]) / 255;
  }
}

/** @param {Blending} blending @param {number} start @param {number} end first pixel of the tile, and the first after */
function blendColour({ tile, before, cover, ink }, start, end) {
  const [red, green, blue] = ink.colour;
  for (let spot = start; spot < end; spot += 1) {
    if (cover[spot] === 0) continue;
    const place = spot * 4;
    const laid = (cover[spot] / 255) * ink.opacity;
    const old = before ? before[place + 3] / 255 : 0;
    if (ink.erase) {
      tile[place + 3] = old * (1 - laid) * 255;
      continue;
    }
    const alpha = laid + old * (1 - laid);
    const share = laid / alpha;
    tile[place] = before ? red * share + before[place] * (1 - share) : red;
    tile[place + 1] = before ? green * share + before[place + 1] * (1 - share) : green;
    tile[place + 2] = before ? blue * share + before[place + 2] * (1 - share) : blue;
    tile[place + 3] = alpha * 255;
  }
}
