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
    layer.begin();
  }

  /** @param {number} index */
  cover(index) {
    let cover = this.covers.get(index);
    if (!cover) this.covers.set(index, (cover = new Uint8Array(TILE * TILE)));
    return cover;
  }

  /** Lay the ink on wherever a box is covered. @param {number} index @param {Box} box within the picture */
  blend(index, box) {
    const { layer, ink } = this;
    const place = layer.boxOf(index);
    const inside = {
      left: Math.max(box.left, place.left) - place.left, top: Math.max(box.top, place.top) - place.top,
      right: Math.min(box.right, place.right) - place.left, bottom: Math.min(box.bottom, place.bottom) - place.top,
    };
    if (inside.left >= inside.right || inside.top >= inside.bottom) return;
    if (ink.erase && !layer.tiles.has(index)) return;
    const tile = layer.writable(index);
    const before = layer.before?.get(index) ?? null;
    const blend = layer.channels === 1 ? blendMask : blendColour;
    blend(tile, before, this.cover(index), inside, ink);
    layer.onchange(index, {
      left: place.left + inside.left, top: place.top + inside.top, right: place.left + inside.right, bottom: place.top + inside.bottom,
    });
  }

  /** Draw with a round brush from one place to another. @param {Dab} from @param {Dab} to @param {number} hardness from 0 to 1 */
  line(from, to, hardness) {
    const { layer } = this;
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
      coverLine(this.cover(index), place, inside, from, to, hardness);
      this.blend(index, inside);
    }
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
 * @param {Uint8Array} cover @param {Box} place where the tile lies @param {Box} box what of it may be touched
 * @param {Dab} from @param {Dab} to @param {number} hardness
 */
function coverLine(cover, place, box, from, to, hardness) {
  const alongX = to.x - from.x;
  const alongY = to.y - from.y;
  const length = alongX * alongX + alongY * alongY;
  const scale = length > 0 ? 1 / length : 0;
  const growth = to.radius - from.radius;
  for (let y = box.top; y < box.bottom; y += 1) {
    const dy = y + 0.5 - from.y;
    let spot = (y - place.top) * TILE + box.left - place.left;
    for (let x = box.left; x < box.right; x += 1, spot += 1) {
      if (cover[spot] === 255) continue;
      const dx = x + 0.5 - from.x;
      let part = (dx * alongX + dy * alongY) * scale;
      part = part < 0 ? 0 : part > 1 ? 1 : part;
      const offX = dx - part * alongX;
      const offY = dy - part * alongY;
      const outer = from.radius + part * growth + 0.5;
      const square = offX * offX + offY * offY;
      if (square >= outer * outer) continue;
      const soft = Math.max((outer - 0.5) * (1 - hardness), 1);
      const core = outer - soft;
      if (core > 0 && square <= core * core) {
        cover[spot] = 255;
        continue;
      }
      const depth = Math.min((outer - Math.sqrt(square)) / soft, 1);
      const value = soft === 1 ? depth * 255 : depth * depth * (3 - 2 * depth) * 255;
      if (value > cover[spot]) cover[spot] = value;
    }
  }
}

/** @param {Uint8ClampedArray} tile @param {Uint8ClampedArray | null} before @param {Uint8Array} cover @param {Box} box @param {Ink} ink */
function blendMask(tile, before, cover, box, ink) {
  for (let y = box.top; y < box.bottom; y += 1) {
    for (let spot = y * TILE + box.left, end = y * TILE + box.right; spot < end; spot += 1) {
      const old = before ? before[spot] : 0;
      tile[spot] = ink.erase ? (old * (255 - cover[spot])) / 255 : old + ((255 - old) * cover[spot]) / 255;
    }
  }
}

/** @param {Uint8ClampedArray} tile @param {Uint8ClampedArray | null} before @param {Uint8Array} cover @param {Box} box @param {Ink} ink */
function blendColour(tile, before, cover, box, ink) {
  const [red, green, blue] = ink.colour;
  for (let y = box.top; y < box.bottom; y += 1) {
    for (let spot = y * TILE + box.left, end = y * TILE + box.right; spot < end; spot += 1) {
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
}
