/** What one option is changed with: a switch, a list, a slider beside its number, boxes to check, a colour or a text. */
import { h } from "./dom.js";

/** A slider with more steps than this cannot be set to one of them with a mouse. */
const MOST_STEPS = 1000;
const COLOUR = /^#[0-9a-f]{6}$/i;

/**
 * @typedef {{key: string, label: string, kind: string, value: any, default: any, section: string, help: string,
 *   choices: string[], minimum: number | null, maximum: number | null, step: number, restart: boolean,
 *   look: string, lines: number, refreshes: boolean}} Option
 * @typedef {{box: HTMLElement, main: HTMLElement, read: () => any}} Control `main` is what the label belongs to.
 */

/** @param {Option} option @returns {Control} */
export function makeControl(option) {
  if (option.kind === "flag") return makeSwitch(option);
  if (option.kind === "names") return option.choices.length ? makeChecks(option) : makeLines(option);
  if (option.kind === "integer" || option.kind === "number") return hasSlider(option) ? makeSlider(option) : makeNumber(option);
  if (option.choices.length) return makeList(option);
  return option.look === "colour" ? makeColour(option) : makeText(option);
}

/** @param {Option} option */
export function hasSlider({ minimum, maximum, step, look }) {
  if (minimum === null || maximum === null || maximum <= minimum) return false;
  return look === "slider" || (maximum - minimum) / step <= MOST_STEPS;
}

/** @param {Option} option @returns {Control} */
function makeSwitch(option) {
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", checked: Boolean(option.value), role: "switch" }));
  return { box, main: box, read: () => box.checked };
}

/** @param {Option} option @returns {Control} */
function makeList(option) {
  // A name that is no longer in the list is still what is chosen.
  const names = option.choices.includes(option.value) ? option.choices : [option.value, ...option.choices];
  const box = /** @type {HTMLSelectElement} */ (h("select", { class: "easel-select" },
    ...names.map((name) => h("option", { value: name, selected: name === option.value }, name))));
  return { box, main: box, read: () => box.value };
}

/** @param {Option} option @returns {Control} */
function makeText(option) {
  const text = String(option.value ?? "");
  const lines = Math.max(option.lines, Math.min(12, text.split("\n").length));
  const box = /** @type {HTMLInputElement} */ (lines > 1
    ? h("textarea", { rows: lines, spellcheck: "false" }, text)
    : h("input", { type: "text", value: text, autocomplete: "off", spellcheck: "false" }));
  return { box, main: box, read: () => box.value };
}

/** @param {Option} option @returns {Control} */
function makeNumber(option) {
  // A text box, so that a wrong number reaches the server's check instead of vanishing.
  const box = /** @type {HTMLInputElement} */ (h("input", {
    type: "text", inputmode: "decimal", value: option.value, autocomplete: "off", spellcheck: "false",
  }));
  return { box, main: box, read: () => (box.value.trim() === "" || Number.isNaN(Number(box.value)) ? box.value : Number(box.value)) };
}

/** @param {Option} option @returns {Control} */
function makeSlider(option) {
  const { main, read } = makeNumber(option);
  const number = /** @type {HTMLInputElement} */ (main);
  const slider = /** @type {HTMLInputElement} */ (h("input", {
    type: "range", min: option.minimum, max: option.maximum, step: option.step, value: option.value, "aria-label": option.label,
  }));
  const { minimum, maximum } = /** @type {{minimum: number, maximum: number}} */ (option);
  const fill = () => slider.style.setProperty("--easel-part", `${((slider.valueAsNumber - minimum) / (maximum - minimum)) * 100}%`);
  slider.addEventListener("input", () => { number.value = slider.value; fill(); });
  number.addEventListener("input", () => { slider.value = number.value; fill(); });
  fill();
  return { box: h("div", { class: "easel-control easel-bounded" }, slider, number), main: number, read };
}

/** @param {Option} option @returns {Control} */
function makeColour(option) {
  const { main, read } = makeText(option);
  const text = /** @type {HTMLInputElement} */ (main);
  const colour = /** @type {HTMLInputElement} */ (h("input", { type: "color", "aria-label": `${option.label}: choose` }));
  const follow = () => COLOUR.test(text.value) && (colour.value = text.value);
  colour.addEventListener("input", () => (text.value = colour.value));
  text.addEventListener("input", follow);
  follow();
  return { box: h("div", { class: "easel-control easel-colour" }, colour, text), main: text, read };
}

/** @param {Option} option @returns {Control} */
function makeChecks(option) {
  const names = [...new Set([...option.choices, ...option.value])];
  const checks = names.map((name) => /** @type {HTMLInputElement} */ (h("input", {
    type: "checkbox", value: name, checked: option.value.includes(name),
  })));
  const box = h("div", { class: "easel-control easel-checks", role: "group", "aria-label": option.label },
    ...checks.map((check) => h("label", {}, check, h("span", {}, check.value))));
  return { box, main: box, read: () => checks.filter((check) => check.checked).map((check) => check.value) };
}

/** @param {Option} option @returns {Control} */
function makeLines(option) {
  const box = /** @type {HTMLTextAreaElement} */ (h("textarea", {
    rows: Math.max(2, Math.min(12, option.value.length + 1)), spellcheck: "false", placeholder: "One in each line",
  }, option.value.join("\n")));
  return { box, main: box, read: () => box.value.split("\n").map((line) => line.trim()).filter(Boolean) };
}
