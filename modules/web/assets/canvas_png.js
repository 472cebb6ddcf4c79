/** Writes a layer as a PNG file, a band of tiles at a time, so that nothing stands still and memory stays small. */
import { TILE } from "./canvas_layer.js";

const SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Colour types of the format by how many channels a layer has. */
const COLOUR_TYPES = { 1: 0, 4: 6 };

/**
 * Return the layer as a PNG: grey with white where is painted, or the strokes alone with their alpha.
 * @param {import("./canvas_layer.js").Layer} layer
 * @param {() => boolean} [stale] asked between bands; once true, null is returned
 * @returns {Promise<Blob | null>}
 */
export async function encodeLayer(layer, stale = () => false) {
  const { width, height, channels } = layer;
  const packing = new CompressionStream("deflate");
  const packed = new Response(packing.readable).arrayBuffer();
  const writer = packing.writable.getWriter();
  for (let row = 0; row < layer.rows; row += 1) {
    if (stale()) {
      await Promise.all([writer.close(), packed]);
      return null;
    }
    await writer.write(band(layer, row));
  }
  await writer.close();
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(9, COLOUR_TYPES[channels]);
  const parts = [chunk("IHDR", new Uint8Array(header.buffer)), chunk("IDAT", new Uint8Array(await packed)), chunk("IEND", new Uint8Array())];
  return new Blob([SIGNATURE, ...parts], { type: "image/png" });
}

/** The scan lines of a row of tiles, each after a zero: as they are, unfiltered. @param {import("./canvas_layer.js").Layer} layer @param {number} row */
function band(layer, row) {
  const { width, height, channels } = layer;
  const lines = Math.min(TILE, height - row * TILE);
  const stride = 1 + width * channels;
  const bytes = new Uint8Array(stride * lines);
  for (let column = 0; column < layer.columns; column += 1) {
    const tile = layer.tiles.get(row * layer.columns + column);
    if (!tile) continue;
    const length = Math.min(TILE, width - column * TILE) * channels;
    for (let line = 0; line < lines; line += 1) {
      const start = line * TILE * channels;
      bytes.set(tile.subarray(start, start + length), line * stride + 1 + column * TILE * channels);
    }
  }
  return bytes;
}

/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let place = 0; place < 4; place += 1) bytes[4 + place] = name.charCodeAt(place);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, checksum(bytes.subarray(4, content.length + 8)));
  return bytes;
}

const CHECKSUMS = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32. @param {Uint8Array} bytes */
function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = CHECKSUMS[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
