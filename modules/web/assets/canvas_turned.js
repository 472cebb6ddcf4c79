/** WebP files that say in their metadata how they are to be turned: browsers do not turn them, the server does. */

/** @typedef {[number, number, number, number, number, number]} Matrix */

const ORIENTATION_TAG = 0x0112;
const ENTRY_BYTES = 12;
const EXIF_FLAG = 8;
const EXIF_MARK = "Exif\0\0";
/** How to draw a picture of w × h pixels upright, by its orientation. @type {Record<number, (w: number, h: number) => Matrix>} */
const UPRIGHT = {
  2: (w) => [-1, 0, 0, 1, w, 0],
  3: (w, h) => [-1, 0, 0, -1, w, h],
  4: (_, h) => [1, 0, 0, -1, 0, h],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (_, h) => [0, 1, -1, 0, h, 0],
  7: (w, h) => [0, -1, -1, 0, h, w],
  8: (w) => [0, -1, 1, 0, 0, w],
};

/** Say how a WebP is to be drawn to be upright. @param {Blob} blob @returns {Promise<((w: number, h: number) => Matrix) | null>} null: as it is */
export async function webpTurn(blob) {
  const head = await bytesOf(blob, 0, 30);
  if (text(head, 0, 4) !== "RIFF" || text(head, 8, 8) !== "WEBPVP8X" || !(head.getUint8(20) & EXIF_FLAG)) return null;
  for (let place = 12; place + 8 <= blob.size;) {
    const chunk = await bytesOf(blob, place, 8);
    const length = chunk.getUint32(4, true);
    if (text(chunk, 0, 4) === "EXIF") return UPRIGHT[orientation(await bytesOf(blob, place + 8, length))] ?? null;
    place += 8 + length + (length % 2);
  }
  return null;
}

/** @param {DataView} exif @returns {number} 1 when it says nothing */
function orientation(exif) {
  const start = text(exif, 0, EXIF_MARK.length) === EXIF_MARK ? EXIF_MARK.length : 0;
  if (exif.byteLength < start + 10) return 1;
  const little = text(exif, start, 2) === "II";
  const directory = start + exif.getUint32(start + 4, little);
  if (directory + 2 > exif.byteLength) return 1;
  const entries = exif.getUint16(directory, little);
  for (let entry = 0; entry < entries; entry += 1) {
    const place = directory + 2 + entry * ENTRY_BYTES;
    if (place + ENTRY_BYTES > exif.byteLength) return 1;
    if (exif.getUint16(place, little) === ORIENTATION_TAG) return exif.getUint16(place + 8, little);
  }
  return 1;
}

/** @param {Blob} blob @param {number} place @param {number} length */
async function bytesOf(blob, place, length) {
  return new DataView(await blob.slice(place, place + length).arrayBuffer());
}

/** @param {DataView} view @param {number} place @param {number} length */
function text(view, place, length) {
  let found = "";
  for (let spot = place; spot < Math.min(place + length, view.byteLength); spot += 1) found += String.fromCharCode(view.getUint8(spot));
  return found;
}
