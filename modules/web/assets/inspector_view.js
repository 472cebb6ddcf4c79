/**
 * Draws how a prompt is read: networks, parts, the schedule as a strip, and the chunks with their tokens.
 * @typedef {{text: string, weight: number, embedding: boolean, id?: number, vectors?: number}} Token
 * @typedef {{tokens: Token[], used: number, break: boolean}} Chunk
 * @typedef {{from: number, to: number, text: string, chunks: Chunk[]}} Stage
 * @typedef {{tag: string, kind: string, name: string, strengths: Record<string, number | null>, known: boolean, exists: boolean,
 *   problem: string | null}} Network
 * @typedef {{text: string, comments?: string[], networks?: Network[], parts?: {weight: number, stages: Stage[]}[],
 *   brackets?: string | null, tokens: number, room: number}} Inspection
 */
import { h } from "./dom.js";

const CHUNK = 75;
/** Weights this far from 1 get the full colour. */
const FULL_AT = 0.6;
const MOST_STAGES = 60;
/** As many shades tell the texts of a schedule apart. */
const SHADES = 4;

/** @param {string} title @param {Inspection} inspection @param {number} steps @returns {HTMLElement[]} */
export function showInspection(title, inspection, steps) {
  const { networks = [], comments = [], parts = [], brackets } = inspection;
  const count = `${inspection.tokens} ${inspection.tokens === 1 ? "token" : "tokens"}`;
  return [h("section", { class: "easel-inspection" },
    h("h3", {}, title, h("span", { class: "easel-soft" }, count)),
    brackets ? h("p", { class: "easel-error-text" }, `Brackets do not match: ${brackets}`) : null,
    networks.length ? h("div", { class: "easel-chips" }, ...networks.map(showNetwork)) : null,
    comments.length ? h("p", { class: "easel-comments" }, h("span", { class: "easel-soft" }, "Left out: "),
      ...comments.map((comment) => h("del", {}, comment))) : null,
    ...parts.map((part, place) => showPart(part, parts.length > 1 ? place + 1 : 0, steps)))];
}

/** @param {Network} network */
function showNetwork({ tag, kind, name, strengths, known, exists, problem }) {
  const state = problem ? "bad" : !known ? "unknown" : exists ? "good" : "bad";
  const { text_encoder: encoder, unet } = strengths;
  const strength = encoder !== undefined && encoder !== unet ? `${encoder} / ${unet}` : unet ?? "";
  const words = problem ?? (!known ? "no such kind of network" : exists ? "found" : "missing");
  return h("span", { class: "easel-network", "data-state": state, title: tag },
    h("span", { class: "easel-soft" }, kind), h("b", {}, name), strength === "" ? null : ` ${strength}`, h("i", {}, words));
}

/** @param {{weight: number, stages: Stage[]}} part @param {number} number 0: the only one @param {number} steps */
function showPart({ weight, stages }, number, steps) {
  const head = number ? h("p", { class: "easel-part-head" }, h("b", {}, number === 1 ? "Part 1" : `AND part ${number}`), ` weight ${weight}`) : null;
  const chunks = h("div", { class: "easel-chunks" });
  const show = (/** @type {number} */ place) => chunks.replaceChildren(...stages[place].chunks.map(showChunk));
  const strip = stages.length > 1 ? makeStrip(stages, steps, show) : null;
  if (stages.length) show(0);
  return h("div", { class: "easel-part" }, head, strip, chunks);
}

/** One button per stage, as wide as its share of the steps. @param {Stage[]} stages @param {number} steps @param {(place: number) => void} show */
function makeStrip(stages, steps, show) {
  const shown = stages.slice(0, MOST_STAGES);
  const text = h("p", { class: "easel-stage-text" });
  const texts = [...new Set(shown.map((stage) => stage.text))];
  const choose = (/** @type {number} */ place) => {
    buttons.forEach((button, each) => button.setAttribute("aria-pressed", String(each === place)));
    const { from, to } = shown[place];
    text.replaceChildren(h("b", {}, from === to ? `Step ${from}` : `Steps ${from}–${to}`), ` of ${steps}: `, shown[place].text || "(empty)");
    show(place);
  };
  const buttons = shown.map(({ from, to, text: words }, place) => {
    const range = from === to ? `${from}` : `${from}–${to}`;
    const button = h("button", { type: "button", title: `${range}: ${words}`, "aria-label": `Steps ${range}: ${words}`, onclick: () => choose(place) }, range);
    button.style.flexGrow = String(to - from + 1);
    button.dataset.shade = String(texts.indexOf(words) % SHADES);
    return button;
  });
  const strip = h("div", { class: "easel-schedule" }, h("div", { class: "easel-strip", role: "group", "aria-label": "Schedule over the steps" }, ...buttons), text);
  if (stages.length > shown.length) strip.append(h("p", { class: "easel-soft" }, `…and ${stages.length - shown.length} more`));
  choose(0);
  return strip;
}

/** @param {Chunk} chunk @param {number} place */
function showChunk(chunk, place) {
  return h("div", { class: "easel-chunk" },
    h("p", { class: "easel-chunk-head" }, `Chunk ${place + 1}`, h("span", {}, `${chunk.used}/${CHUNK}`)),
    h("div", { class: "easel-chips" }, ...chunk.tokens.map(showToken), chunk.break ? h("span", { class: "easel-token easel-break" }, "BREAK") : null));
}

/** @param {Token} token */
function showToken({ text, weight, embedding, id, vectors }) {
  const what = embedding ? `embedding, ${vectors} ${vectors === 1 ? "vector" : "vectors"}` : `id ${id}`;
  const rounded = Math.round(weight * 1000) / 1000;
  const chip = h("span", {
    class: embedding ? "easel-token easel-embedding" : "easel-token", title: `weight ${rounded}, ${what}`,
    "data-weight": weight === 1 ? null : weight > 1 ? "more" : "less",
  }, text.replace(/<\/w>$/, ""), weight === 1 ? null : h("sub", {}, String(Math.round(weight * 100) / 100)));
  chip.style.setProperty("--shade", `${Math.round(Math.min(1, Math.abs(weight - 1) / FULL_AT) * 100)}%`);
  return chip;
}
