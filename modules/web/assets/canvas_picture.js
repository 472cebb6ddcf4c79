/** A picture of the canvas: its file, and what the browser makes of it. Turned as its metadata says, like at the server. */
import { Refused } from "./api.js";
import { webpTurn } from "./canvas_turned.js";

const LONGEST_SIDE = 16384;
const MOST_PIXELS = 67_108_864;
/** Bytes of a file's beginning in which a PNG tells that it is animated. */
const BEGINNING = 4096;

/** @typedef {{blob: Blob, image: HTMLImageElement, width: number, height: number}} Picture */

/** Read a file that a user chose. Throws Refused, naming the file. @param {Blob} file @returns {Promise<Picture>} */
export async function readPicture(file) {
  const name = file instanceof File && file.name ? file.name : "The picture";
  const blob = await turned(file, name);
  const still = (await moves(blob)) ? await firstFrame(blob, name) : blob;
  const address = URL.createObjectURL(still);
  try {
    const image = await load(address, name);
    const { naturalWidth: width, naturalHeight: height } = image;
    if (width > LONGEST_SIDE || height > LONGEST_SIDE || width * height > MOST_PIXELS) {
      throw new Refused(`${name} has ${width} × ${height} pixels; possible are ${LONGEST_SIDE} a side and 67 megapixels in all.`);
    }
    await image.decode().catch(() => refuse(name));
    return { blob, image, width, height };
  } finally {
    // The element keeps what it has loaded.
    URL.revokeObjectURL(address);
  }
}

/** Make a file of what is drawn on a canvas of this size. @param {{width: number, height: number}} size @param {(context: CanvasRenderingContext2D) => void} draw */
export async function drawnFile({ width, height }, draw) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (context) draw(context);
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  // Gives the memory back at once, not when the garbage is collected.
  canvas.width = canvas.height = 0;
  if (!blob) throw new Refused(`The browser has not enough memory for a picture of ${width} × ${height} pixels.`);
  return blob;
}

/**
 * Draw a picture onto a larger canvas, and mirror its edges into what is new.
 * @param {CanvasRenderingContext2D} context @param {Picture} picture @param {{left: number, up: number}} sides where it goes
 */
export function drawMirrored(context, { image, width, height }, { left, up }) {
  const { canvas } = context;
  for (let row = -Math.ceil(up / height); row * height + up < canvas.height; row += 1) {
    for (let column = -Math.ceil(left / width); column * width + left < canvas.width; column += 1) {
      const turnX = column % 2 ? -1 : 1;
      const turnY = row % 2 ? -1 : 1;
      context.setTransform(turnX, 0, 0, turnY, left + (column + (turnX < 0 ? 1 : 0)) * width, up + (row + (turnY < 0 ? 1 : 0)) * height);
      context.drawImage(image, 0, 0);
    }
  }
  context.resetTransform();
}

/** @param {string} address @param {string} name @returns {Promise<HTMLImageElement>} */
function load(address, name) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.decoding = "async";
    image.draggable = false;
    image.alt = name;
    image.onload = () => (image.naturalWidth && image.naturalHeight ? resolve(image) : reject(new Refused(undecodable(name))));
    image.onerror = () => reject(new Refused(undecodable(name)));
    image.src = address;
  });
}

/** @param {string} name @returns {never} */
function refuse(name) {
  throw new Refused(undecodable(name));
}

/** @param {string} name */
const undecodable = (name) => `${name} cannot be read as a picture; PNG, JPEG, WebP, AVIF and GIF can.`;

/** Say whether a file has several frames, of which only the first counts. @param {Blob} blob */
async function moves(blob) {
  // Not by a TextDecoder: its Latin 1 is another.
  const text = String.fromCharCode(...new Uint8Array(await blob.slice(0, BEGINNING).arrayBuffer()));
  return text.startsWith("GIF8")
    || (text.startsWith("\x89PNG") && text.includes("acTL"))
    || (text.startsWith("RIFF") && text.slice(8, 16) === "WEBPVP8X" && (text.charCodeAt(20) & 2) !== 0)
    || text.slice(4, 12) === "ftypavis";
}

/** Return the file, or one that is upright if the browser would show it otherwise. @param {Blob} blob @param {string} name */
async function turned(blob, name) {
  const turn = await webpTurn(blob);
  if (!turn) return blob;
  const lying = await createImageBitmap(blob, { imageOrientation: "none" }).catch(() => refuse(name));
  const { width, height } = lying;
  const matrix = turn(width, height);
  const upright = await drawnFile(matrix[0] ? { width, height } : { width: height, height: width }, (context) => {
    context.setTransform(...matrix);
    context.drawImage(lying, 0, 0);
  });
  lying.close();
  return upright;
}

/** @param {Blob} blob @param {string} name */
async function firstFrame(blob, name) {
  const frame = await createImageBitmap(blob).catch(() => refuse(name));
  const still = await drawnFile(frame, (context) => context.drawImage(frame, 0, 0));
  frame.close();
  return still;
}
