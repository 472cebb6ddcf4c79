/** Keys in the prompts: Ctrl+Up and Ctrl+Down change a weight by 0.1, that of a network by 0.05, Alt+Left and Alt+Right move an item between commas. */

const PROMPTS = ":is(#txt2img_prompt, #txt2img_neg_prompt, #img2img_prompt, #img2img_neg_prompt, #hires_prompt, #hires_neg_prompt)";
const STEP = 0.1;
const NETWORK_STEP = 0.05;
const DELIMITERS = /[.,\\/!?%^*;:{}=`~() \t\r\n]/;
/** What is in one pair of round brackets with a weight: (text:1.2). */
const WEIGHTED = /\(([^()]*):(-?\d*\.?\d+)\)/g;
/** A network with a strength: <lora:name:0.8>. */
const NETWORK = /<([^<>:]+:[^<>:]+):(-?\d*\.?\d+)((?::[^<>]*)?)>/g;

/** @typedef {{text: string, start: number, end: number}} Edit a text and what is selected in it */

export function startPromptKeys() {
  document.addEventListener("keydown", (event) => {
    const area = event.target;
    if (!(area instanceof HTMLTextAreaElement) || !area.closest(PROMPTS) || event.isComposing) return;
    const before = { text: area.value, start: area.selectionStart, end: area.selectionEnd };
    const after = edit(event, before);
    if (!after) return;
    event.preventDefault();
    put(area, before, after);
  });
}

/** @param {KeyboardEvent} event @param {Edit} before @returns {Edit | null} */
function edit(event, before) {
  const upDown = event.key === "ArrowUp" || event.key === "ArrowDown";
  const leftRight = event.key === "ArrowLeft" || event.key === "ArrowRight";
  if (upDown && (event.ctrlKey || event.metaKey) && !event.altKey) return changeWeight(before, event.key === "ArrowUp" ? 1 : -1);
  if (leftRight && event.altKey && !event.ctrlKey && !event.metaKey) return moveItem(before, event.key === "ArrowRight" ? 1 : -1);
  return null;
}

/** Put the changed part in as typing would, so that undo works and Gradio hears of it. @param {HTMLTextAreaElement} area @param {Edit} before @param {Edit} after */
function put(area, before, after) {
  if (after.text !== before.text) {
    area.setSelectionRange(0, before.text.length);
    document.execCommand("insertText", false, after.text);
  }
  area.setSelectionRange(after.start, after.end);
}

/** Change the weight of the network, of the brackets, or of the word or selection at the cursor. @param {Edit} at @param {1 | -1} direction @returns {Edit | null} */
export function changeWeight(at, direction) {
  const by = direction * STEP;
  const network = around(NETWORK, at);
  if (network) return reweigh(at, network, `<${network[1]}:`, network[2], `${network[3]}>`, direction * NETWORK_STEP);
  const weighted = around(WEIGHTED, at);
  if (weighted) {
    const weight = next(weighted[2], by);
    if (weight === "1") return replaced(at, weighted.index, weighted[0].length, weighted[1], 0);
    return reweigh(at, weighted, `(${weighted[1]}:`, weighted[2], ")", by);
  }
  const [start, end] = at.start === at.end ? wordAt(at) : trimmed(at);
  if (start === end) return null;
  const word = at.text.slice(start, end);
  return replaced(at, start, end - start, `(${word}:${next("1", by)})`, 1, word.length);
}

/** Move the comma-separated item at the cursor by one place. @param {Edit} at @param {1 | -1} by @returns {Edit | null} */
export function moveItem({ text, start, end }, by) {
  const items = text.split(",");
  const place = text.slice(0, start).split(",").length - 1;
  const last = text.slice(0, end).split(",").length - 1;
  const other = place + by;
  if (place !== last || other < 0 || other >= items.length) return null;
  const within = start - items.slice(0, place).join(",").length - (place ? 1 : 0) - leading(items[place]).length;
  const bodies = items.map((item) => item.trim());
  [bodies[place], bodies[other]] = [bodies[other], bodies[place]];
  const moved = items.map((item, each) => leading(item) + bodies[each] + item.slice(item.trimEnd().length || item.length));
  const begin = moved.slice(0, other).join(",").length + (other ? 1 : 0) + leading(items[other]).length;
  const cursor = begin + Math.max(0, Math.min(within, bodies[other].length));
  return { text: moved.join(","), start: cursor, end: cursor + (end - start) };
}

/** @param {string} item */
function leading(item) {
  return item.trim() ? item.slice(0, item.length - item.trimStart().length) : item;
}

/** Return the match that the selection lies in. @param {RegExp} pattern @param {Edit} at */
function around(pattern, { text, start, end }) {
  return [...text.matchAll(pattern)].find((match) => match.index <= start && end <= match.index + match[0].length) ?? null;
}

/** @param {Edit} at @param {RegExpMatchArray} match @param {string} before @param {string} weight @param {string} after @param {number} by */
function reweigh(at, match, before, weight, after, by) {
  const changed = `${before}${next(weight, by)}${after}`;
  const index = /** @type {number} */ (match.index);
  const text = at.text.slice(0, index) + changed + at.text.slice(index + match[0].length);
  const end = index + changed.length;
  return { text, start: Math.min(at.start, end), end: Math.min(at.end, end) };
}

/** @param {Edit} at @param {number} start @param {number} length @param {string} text @param {number} from @param {number} [selected] */
function replaced(at, start, length, text, from, selected = text.length) {
  return { text: at.text.slice(0, start) + text + at.text.slice(start + length), start: start + from, end: start + from + selected };
}

/** @param {string} weight @param {number} by */
function next(weight, by) {
  return String(Number((Number(weight) + by).toFixed(6)));
}

/** @param {Edit} at @returns {[number, number]} */
function wordAt({ text, start }) {
  let from = start;
  let to = start;
  while (from > 0 && !DELIMITERS.test(text[from - 1])) from -= 1;
  while (to < text.length && !DELIMITERS.test(text[to])) to += 1;
  return [from, to];
}

/** @param {Edit} at @returns {[number, number]} */
function trimmed({ text, start, end }) {
  const selected = text.slice(start, end);
  const from = start + selected.length - selected.trimStart().length;
  return [from, from + selected.trim().length];
}
