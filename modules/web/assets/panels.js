/** What our own forms are built of: fields with a label and a hint, switches, messages at the fields. */
import { Refused } from "./api.js";
import { h } from "./dom.js";

/**
 * A control under its label, with a place for what is wrong with it.
 * @param {string} name the field's name on the server @param {string} label @param {HTMLElement} control
 * @param {string | Node} [hint]
 */
export function field(name, label, control, hint = "") {
  control.id ||= `easel_field_${name}`;
  return h("div", { class: "easel-field", "data-field": name }, h("label", { for: control.id }, label), control,
    hint ? h("p", { class: "easel-soft" }, hint) : null, h("p", { class: "easel-error-text", role: "alert" }));
}

/** @param {string} name @param {string} label @param {HTMLInputElement} control a checkbox @param {string} [hint] */
export function toggle(name, label, control, hint = "") {
  control.id ||= `easel_field_${name}`;
  return h("div", { class: "easel-toggle", "data-field": name }, control,
    h("div", {}, h("label", { for: control.id }, label), hint ? h("p", { class: "easel-soft" }, hint) : null,
      h("p", { class: "easel-error-text", role: "alert" })));
}

/** @param {string} id @param {Record<string, any>} [more] */
export function textBox(id, more = {}) {
  return /** @type {HTMLInputElement} */ (h("input", { type: "text", id, autocomplete: "off", spellcheck: "false", ...more }));
}

/** @param {string} id @param {boolean} [checked] */
export function checkBox(id, checked = false) {
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id, role: "switch" }));
  box.checked = checked;
  return box;
}

/** @param {HTMLSelectElement} select @param {{value: string, text: string, disabled?: boolean}[]} options */
export function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(({ value, text, disabled }) => h("option", { value, disabled }, text)));
  if (options.some((option) => option.value === before && !option.disabled)) select.value = before;
}

/** Show what a server said no to: at the fields that it names, the rest in the line of the form. @param {HTMLElement} form @param {unknown} error */
export function showProblems(form, error) {
  clearProblems(form);
  const problems = error instanceof Refused ? error.problems : [];
  const homeless = [];
  for (const problem of problems) {
    const place = form.querySelector(`[data-field="${CSS.escape(problem.field)}"]`);
    const text = place?.querySelector(".easel-error-text");
    if (!place || !text || !(/** @type {HTMLElement} */ (place).offsetParent)) {
      homeless.push(`${problem.label}: ${problem.value} is not possible; allowed is ${problem.allowed}.`);
      continue;
    }
    text.textContent = `${problem.value} is not possible; allowed is ${problem.allowed}.`;
    place.querySelector("input, select, textarea")?.setAttribute("aria-invalid", "true");
  }
  const rest = problems.length ? homeless.join(" ") : error instanceof Error ? error.message : String(error);
  const line = form.querySelector(".easel-form-line");
  if (line) line.textContent = rest;
}

/** @param {HTMLElement} form */
export function clearProblems(form) {
  for (const text of form.querySelectorAll(".easel-field .easel-error-text, .easel-toggle .easel-error-text, .easel-form-line")) text.textContent = "";
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

/** A number of bytes as people write it. @param {number | null} count */
export function sizeText(count) {
  if (count === null) return "";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let place = 0;
  for (; count >= 1000 && place < units.length - 1; place++) count /= 1000;
  return `${count >= 100 || place === 0 ? Math.round(count) : count.toFixed(1)} ${units[place]}`;
}
