/** Keeps what is on the canvases over a reload, in the browser's own database. Without one, nothing is kept. */

const DATABASE = "easel-canvas";
const VERSION = 1;

/**
 * @typedef {import("./canvas_layer.js").Packed} Packed
 * @typedef {{blob: Blob, name: string, id: string, width: number, height: number, mark: string}} Kept
 *   `id` at the server, "" before it is there; `mark` tells one picture from the next
 */

export class CanvasStore {
  /** @param {string} name of the canvas */
  constructor(name) {
    this.name = name;
    /** @type {Promise<IDBDatabase | null>} */
    this.opened = open();
    /** @type {IDBDatabase | null} the same, at hand when the page goes away */
    this.database = null;
    this.opened.then((database) => (this.database = database));
  }

  /** @returns {Promise<{kept: Kept, tiles: Map<number, Packed>} | null>} */
  async load() {
    const database = await this.opened;
    if (!database) return null;
    try {
      const work = database.transaction(["pictures", "tiles"]);
      const [kept, keys, values] = await Promise.all([
        result(work.objectStore("pictures").get(this.name)),
        result(work.objectStore("tiles").getAllKeys(this.#range())),
        result(work.objectStore("tiles").getAll(this.#range())),
      ]);
      if (!kept) return null;
      const tiles = new Map();
      keys.forEach((/** @type {any} */ key, /** @type {number} */ place) => key[1] === kept.mark && tiles.set(key[2], values[place]));
      return { kept, tiles };
    } catch {
      return null;
    }
  }

  /** Keep another picture, or none; what was drawn over the last one goes. @param {Kept | null} kept */
  savePicture(kept) {
    this.#write((pictures, tiles) => {
      tiles.delete(this.#range());
      if (kept) pictures.put(kept, this.name);
      else pictures.delete(this.name);
    });
  }

  /** Keep what is known of the same picture by now. @param {Kept} kept */
  updatePicture(kept) {
    this.#write((pictures) => pictures.put(kept, this.name));
  }

  /** Keep tiles of what is drawn; null removes one. @param {string} mark of their picture @param {Map<number, Packed>} changed */
  saveTiles(mark, changed) {
    this.#write((_, tiles) => {
      for (const [index, tile] of changed) {
        if (tile === null) tiles.delete([this.name, mark, index]);
        else tiles.put(tile, [this.name, mark, index]);
      }
    });
  }

  /** @param {(pictures: IDBObjectStore, tiles: IDBObjectStore) => void} change */
  #write(change) {
    // Without waiting if the database is there: the page may be about to go away.
    if (this.database) this.#writeTo(this.database, change);
    else this.opened.then((database) => database && this.#writeTo(database, change));
  }

  /** @param {IDBDatabase} database @param {(pictures: IDBObjectStore, tiles: IDBObjectStore) => void} change */
  #writeTo(database, change) {
    try {
      const work = database.transaction(["pictures", "tiles"], "readwrite");
      change(work.objectStore("pictures"), work.objectStore("tiles"));
      work.commit();
    } catch (error) {
      // The disk is full, or the database was removed: the canvas goes on without.
      console.warn("The canvas is not kept over a reload:", error);
    }
  }

  #range() {
    return IDBKeyRange.bound([this.name], [this.name, []]);
  }
}

/** @returns {Promise<IDBDatabase | null>} */
function open() {
  return new Promise((resolve) => {
    try {
      const request = indexedDB.open(DATABASE, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("pictures");
        request.result.createObjectStore("tiles");
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = request.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
}

/** @param {IDBRequest} request @returns {Promise<any>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
