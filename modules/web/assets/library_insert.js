/** Models in prompts: whether a prompt names one, and the text with it put in or taken out. */

/** @typedef {{text: string, start: number, end: number}} Place a text and what is selected in it */

const LETTER = "\\p{L}\\p{N}_\\-";

/** @param {string} text */
function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** All tags of a network, whatever their strengths. @param {string} tag such as "lora:name" */
function tagPattern(tag) {
  return new RegExp(`<${escaped(tag)}(?::[^<>]*)?>`, "giu");
}

/** A piece of text that is no part of a longer word. @param {string} words */
function wordPattern(words) {
  return new RegExp(`(?<![${LETTER}])${escaped(words)}(?![${LETTER}])`, "iu");
}

/** @param {string} text @param {string} tag */
export function hasTag(text, tag) {
  return tagPattern(tag).test(text);
}

/** @param {string} text @param {string} words */
export function hasWords(text, words) {
  return words.trim() !== "" && wordPattern(words.trim()).test(text);
}

/** Take a network out, and the words that belong to it. @param {string} text @param {string} tag @param {string} activation */
export function withoutTag(text, tag, activation) {
  const without = text.replace(tagPattern(tag), "\u0000");
  const joined = activation.trim() ? cut(without, new RegExp(`\\u0000[\\s,]*${escaped(activation.trim())}(?![${LETTER}])`, "iu")) : without;
  const rest = joined.split("\u0000").reduce((left, right) => join(left, right));
  return activation.trim() && joined === without ? withoutWords(rest, activation) : rest;
}

/** Take some words out. @param {string} text @param {string} words */
export function withoutWords(text, words) {
  return hasWords(text, words) ? cut(text, wordPattern(words.trim())) : text;
}

/**
 * Put a piece in at the selection's end, apart from what is around it: words by commas, tags by spaces.
 * @param {Place} at @param {string} piece @returns {Place}
 */
export function inserted(at, piece) {
  const before = at.text.slice(0, at.end);
  const after = at.text.slice(at.end);
  const between = piece.startsWith("<") || /[,(\[{>:|]\s*$|^\s*$|\n$/u.test(before) ? (/(^|\s|[(\[{|])$/u.test(before) ? "" : " ") : ", ";
  const behind = after === "" || /^[\s,.)\]}:|]/u.test(after) ? "" : " ";
  const left = between === ", " ? before.trimEnd() : before;
  const added = left + between + piece;
  return { text: added + behind + after, start: added.length, end: added.length };
}

/** @param {string} text @param {RegExp} pattern */
function cut(text, pattern) {
  const match = pattern.exec(text);
  return match ? join(text.slice(0, match.index), text.slice(match.index + match[0].length)) : text;
}

/** Put together what stood on both sides of something, with one separator between. @param {string} left @param {string} right */
function join(left, right) {
  const comma = /,\s*$/u.test(left) && /^\s*(,|$)/u.test(right);
  if (comma) return left.replace(/,\s*$/u, "") + right.replace(/^\s*$/u, "");
  if (left.trim() === "" || left.endsWith("\n")) return left + right.replace(/^[^\S\n]*,?[^\S\n]*/u, "");
  return /\s$/u.test(left) ? left.replace(/[^\S\n]+$/u, right.trim() === "" || /^\s|^,/u.test(right) ? "" : " ") + right : left + right;
}
