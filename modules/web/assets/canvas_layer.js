/** What is drawn over a picture, in tiles that exist only where something is drawn. */

export const TILE = 256;
const TILE_PIXELS = TILE * TILE;

/**
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box in pixels; right and bottom are the first outside
 * @typedef {Uint8ClampedArray<ArrayBuffer> | number | null} Packed a tile; a number when all of its 32-bit words are that one
 */

export class Layer {
  /**
   * @param {number} width @param {number} height
   * @param {1 | 4} channels 1: how much a pixel is masked; 4: red, green, blue, alpha
   */
  constructor(width, height, channels) {
    this.width = width;
    this.height = height;
    this.channels = channels;
    this.columns = Math.ceil(width / TILE);
    this.rows = Math.ceil(height / TILE);
    /** @type {Map<number, Uint8ClampedArray<ArrayBuffer>>} */
    this.tiles = new Map();
    /** @type {Map<number, Uint8ClampedArray<ArrayBuffer> | null> | null} the tiles of the running edit, as they were before */
    this.before = null;
    /** @type {(index: number, box: Box) => void} called for each tile that changed, with what changed within the picture */
    this.onchange = () => {};
  }

  /** @returns {Box} */
  get bounds() {
    return { left: 0, top: 0, right: this.width, bottom: this.height };
  }

  /** Where a tile lies in the picture. @param {number} index @returns {Box} */
  boxOf(index) {
    const left = (index % this.columns) * TILE;
    const top = Math.floor(index / this.columns) * TILE;
    return { left, top, right: Math.min(left + TILE, this.width), bottom: Math.min(top + TILE, this.height) };
  }

  /** The tiles that a box touches. @param {Box} box @returns {number[]} */
  touched(box) {
    const found = [];
    const last = Math.min(Math.ceil(box.right / TILE), this.columns);
    for (let row = Math.max(Math.floor(box.top / TILE), 0); row < Math.min(Math.ceil(box.bottom / TILE), this.rows); row += 1) {
      for (let column = Math.max(Math.floor(box.left / TILE), 0); column < last; column += 1) found.push(row * this.columns + column);
    }
    return found;
  }

  begin() {
    this.before = new Map();
  }

  /** Return a tile to write into, and keep what it was. @param {number} index */
  writable(index) {
    let tile = this.tiles.get(index);
    if (this.before && !this.before.has(index)) this.before.set(index, tile ? tile.slice() : null);
    if (!tile) this.tiles.set(index, (tile = new Uint8ClampedArray(TILE_PIXELS * this.channels)));
    return tile;
  }

  /** End an edit. @returns {import("./canvas_history.js").Step | null} how to undo it, if it touched anything */
  commit() {
    const before = this.before;
    this.before = null;
    return before?.size ? this.#step([...before]) : null;
  }

  /** Take back what the running edit has done so far. */
  cancel() {
    const before = this.before;
    this.before = null;
    for (const [index, tile] of before ?? []) this.put(index, tile);
  }

  /** Replace a tile. @param {number} index @param {Packed} packed */
  put(index, packed) {
    const tile = unpack(packed, TILE_PIXELS * this.channels);
    if (tile) this.tiles.set(index, tile);
    else this.tiles.delete(index);
    this.onchange(index, this.boxOf(index));
  }

  /** Return a tile as small as it can be kept; null when nothing is drawn in it. @param {number} index @returns {Packed} */
  packed(index) {
    return pack(this.tiles.get(index) ?? null);
  }

  isEmpty() {
    return [...this.tiles.keys()].every((index) => this.packed(index) === null);
  }

  /** Bytes that the layer holds. */
  get bytes() {
    return this.tiles.size * TILE_PIXELS * this.channels;
  }

  /** @param {[number, Uint8ClampedArray<ArrayBuffer> | null][]} tiles @returns {import("./canvas_history.js").Step} */
  #step(tiles) {
    const kept = new Map(tiles.map(([index, tile]) => [index, pack(tile)]));
    let bytes = 0;
    for (const tile of kept.values()) bytes += typeof tile === "object" && tile ? tile.length : 8;
    const apply = () => {
      const inverse = this.#step([...kept.keys()].map((index) => [index, this.tiles.get(index) ?? null]));
      for (const [index, tile] of kept) this.put(index, tile);
      return inverse;
    };
    return { bytes, apply };
  }
}

/** @param {Uint8ClampedArray<ArrayBuffer> | null} tile @returns {Packed} */
function pack(tile) {
  if (!tile) return null;
  const words = new Uint32Array(tile.buffer, tile.byteOffset, tile.length / 4);
  const first = words[0];
  for (let place = 1; place < words.length; place += 1) if (words[place] !== first) return tile;
  return first === 0 ? null : first;
}

/** @param {Packed} packed @param {number} length */
function unpack(packed, length) {
  if (typeof packed !== "number") return packed;
  const tile = new Uint8ClampedArray(length);
  new Uint32Array(tile.buffer).fill(packed);
  return tile;
}
