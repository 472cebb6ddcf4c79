/** One model's card: its picture, name and description, and the buttons for details and notes. */
import { h } from "./dom.js";

/** @typedef {import("./library.js").Card} Card */

const INSTRUCTIONS = { lora: "insert it into the prompt", hypernetwork: "insert it into the prompt", embedding: "insert its name", checkpoint: "use this checkpoint", vae: "use this VAE" };

/** @param {Card} card @param {string} kind @param {import("./library_actions.js").LibraryActions} actions */
export function makeModelCard(card, kind, actions) {
  const usable = Boolean(card.call) && !card.problem;
  const words = card.problem || card.description;
  const title = `${card.relative}${card.problem ? `\n⚠ ${card.problem}` : `\nClick to ${INSTRUCTIONS[kind] ?? "use it"}`}`;
  const main = h("button", {
    type: "button", class: "easel-model-main", title, "aria-disabled": usable ? null : "true", "data-model": card.id,
    onclick: (/** @type {MouseEvent} */ event) => actions.use(card, kind, event.currentTarget),
  },
    picture(card),
    h("span", { class: "easel-model-text" },
      h("span", { class: "easel-model-name" }, card.name),
      words ? h("span", { class: card.problem ? "easel-model-words easel-model-problem" : "easel-model-words" }, card.problem ? `⚠ ${words}` : words) : null));
  const tool = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ action) =>
    h("button", { type: "button", class: "easel-model-tool", title: label, "aria-label": `${label}: ${card.name}`, onclick: action }, text);
  return h("div", { class: "easel-model", role: "listitem", "data-usable": usable ? null : "no" }, main,
    card.version ? h("span", { class: "easel-model-version" }, card.version) : null,
    h("span", { class: "easel-model-mark", "aria-hidden": "true" }, "✓"),
    h("div", { class: "easel-model-tools" }, tool("i", "Details", () => actions.showDetails(card, kind)), tool("🛠", "Edit", () => actions.edit(card, kind))));
}

/** Show on a card whether its model is in use. @param {HTMLElement} element @param {boolean} inUse */
export function markCard(element, inUse) {
  element.toggleAttribute("data-in-use", inUse);
  element.querySelector(".easel-model-main")?.setAttribute("aria-pressed", String(inUse));
}

/** @param {Card} card */
function picture(card) {
  const plain = h("span", { class: "easel-model-plain", style: `--hue:${hue(card.name)}`, "aria-hidden": "true" }, initials(card.name));
  if (!card.preview) return plain;
  const image = h("img", { alt: "", src: card.preview, loading: "lazy", decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(plain));
  return image;
}

/** Return one or two letters that stand for a name. @param {string} name */
function initials(name) {
  const words = name.split(/[^\p{L}\p{N}\p{Extended_Pictographic}]+/u).filter(Boolean);
  const first = (/** @type {string} */ word) => [...word][0] ?? "";
  return words.length > 1 ? first(words[0]) + first(words[1]) : [...(words[0] ?? name)].slice(0, 2).join("");
}

/** A colour for a name, in degrees; always the same one. @param {string} name */
function hue(name) {
  let sum = 7;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return sum;
}
