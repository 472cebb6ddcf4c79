/** The pictures on the canvas's buttons: strokes in a square of 24, drawn in the colour of the text. */

const SHAPES = {
  open: "M3 7.5V18a2 2 0 0 0 2 2h14a2 2 0 0 0 2-2V9.5a2 2 0 0 0-2-2h-7l-2-3H5a2 2 0 0 0-2 2z",
  brush: "M20.5 3.5c-1.2-1.2-3-.6-4.2.7L9 12.2l2.8 2.8 8-7.3c1.3-1.2 1.9-3 .7-4.2zM8.2 13.5c-2 0-3.2 1.3-3.2 3.2 0 1.5-.8 2.5-2 3 1.4 1 6 1.3 7.4-1 .9-1.5.4-3-.5-4-.5-.6-1-1.2-1.7-1.2z",
  eraser: "M13.5 4.5l6 6a1.5 1.5 0 0 1 0 2.1L12.6 19.5H8.4L4.5 15.6a1.5 1.5 0 0 1 0-2.1l6.9-9a1.5 1.5 0 0 1 2.1 0zM8.5 9l7 7M8.4 19.5H20",
  fill: "M11 4l8 8-6.5 6.5a2 2 0 0 1-2.8 0L4.5 13.3a2 2 0 0 1 0-2.8L11 4zM11 4L8.5 1.5M4 12h14.5M20.5 16c1 1.5 1.5 2.3 1.5 3.2a1.6 1.6 0 0 1-3.2 0c0-.9.7-1.7 1.7-3.2z",
  lasso: "M7 15.5C4.5 14.5 3 12.6 3 10.5 3 6.9 7 4 12 4s9 2.9 9 6.5-4 6.5-9 6.5c-1 0-2-.1-2.9-.3M7.5 19.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 19.5c0 1.5-1 2.5-2.5 2.5",
  pick: "M14 7l3 3M4 20l1-4 9.5-9.5 3 3L8 19l-4 1zM15 6l2-2a2.1 2.1 0 0 1 3 3l-2 2",
  undo: "M9 14L4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "M15 14l5-5-5-5M20 9H10a6 6 0 0 0 0 12h3",
  clear: "M4 7h16M9.5 7V4.5h5V7M6.5 7l.8 12a1.5 1.5 0 0 0 1.5 1.5h6.4a1.5 1.5 0 0 0 1.5-1.5l.8-12M10 11v5.5M14 11v5.5",
  invert: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  load: "M12 15.5V4M7.5 8.5L12 4l4.5 4.5M4 16v2.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V16",
  save: "M12 4v11.5M7.5 11l4.5 4.5 4.5-4.5M4 16v2.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V16",
  alpha: "M4 4h16v16H4z",
  close: "M6 6l12 12M18 6L6 18",
  zoomIn: "M12 6v12M6 12h12",
  zoomOut: "M6 12h12",
  fit: "M4 9V5.5A1.5 1.5 0 0 1 5.5 4H9M15 4h3.5A1.5 1.5 0 0 1 20 5.5V9M20 15v3.5a1.5 1.5 0 0 1-1.5 1.5H15M9 20H5.5A1.5 1.5 0 0 1 4 18.5V15M9 9h6v6H9z",
  large: "M14 4h6v6M20 4l-6.5 6.5M10 20H4v-6M4 20l6.5-6.5",
  small: "M20 10h-6V4M14 10l6.5-6.5M4 14h6v6M10 14l-6.5 6.5",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5a1 1 0 1 0 0-2 1 1 0 0 0 0 2z",
};

/** What of them is filled. @type {Record<string, string>} */
const FILLED = {
  invert: "M12 3a9 9 0 0 1 0 18z",
  alpha: "M4 4h5.3v5.3H4zM14.7 4H20v5.3h-5.3zM9.3 9.3h5.4v5.4H9.3zM4 14.7h5.3V20H4zM14.7 14.7H20V20h-5.3z",
};

/** @typedef {keyof typeof SHAPES} IconName */

const SVG = "http://www.w3.org/2000/svg";

/** @param {IconName} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  if (name in FILLED) {
    const filled = document.createElementNS(SVG, "path");
    filled.setAttribute("d", FILLED[name]);
    filled.setAttribute("class", "easel-filled");
    svg.append(filled);
  }
  return svg;
}
