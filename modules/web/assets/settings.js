/** The Settings tab: every option applies as soon as it is changed; a refused value says what is allowed. */
import { Refused, get, post } from "./api.js";
import { h, whenPresent } from "./dom.js";

const SAVED_MS = 1800;
/** Sections that come first and last; the others stay between them in the server's order. */
const FIRST = ["Stable Diffusion", "Prompts", "Sampler parameters", "Guidance", "Hires fix and refiner"];
const LAST = ["System", "Compatibility"];

/**
 * @typedef {{key: string, label: string, kind: string, value: any, default: any, section: string, help: string,
 *   choices: string[], minimum: number | null, maximum: number | null, step: number, restart: boolean}} Option
 */

export class SettingsView {
  /** @param {import("./messages.js").Messages} messages */
  constructor(messages) {
    this.messages = messages;
  }

  start() {
    whenPresent("#easel_settings", (root) => {
      new IntersectionObserver((entries) => {
        if (entries.some((entry) => entry.isIntersecting)) this.#load(root);
      }).observe(root);
    });
  }

  /** @param {HTMLElement} root */
  async #load(root) {
    try {
      const { options } = await get("/easel/settings");
      root.replaceChildren(this.#form(options));
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** @param {Option[]} options */
  #form(options) {
    const found = [...new Set(options.map((option) => option.section))];
    const sections = [...FIRST.filter((name) => found.includes(name)),
      ...found.filter((name) => !FIRST.includes(name) && !LAST.includes(name)), ...LAST.filter((name) => found.includes(name))];
    const search = /** @type {HTMLInputElement} */ (h("input", {
      type: "search", id: "settings_search", class: "easel-search", placeholder: "Search", "aria-label": "Search the settings",
    }));
    const groups = sections.map((section) => h("section", { class: "easel-section" }, h("h3", {}, section),
      ...options.filter((option) => option.section === section).map((option) => this.#row(option))));
    const none = h("p", { class: "easel-soft", role: "status", hidden: true }, "Nothing was found.");
    search.addEventListener("input", () => (none.hidden = filterRows(groups, search.value)));
    return h("div", { class: "easel-settings" }, h("div", { class: "easel-settings-head" }, h("h2", {}, "Settings"), search),
      h("p", { class: "easel-soft" }, "Changes apply at once."), none, ...groups);
  }

  /** @param {Option} option */
  #row(option) {
    const problem = h("p", { class: "easel-error-text", role: "alert" });
    const saved = h("span", { class: "easel-saved", "aria-live": "polite" });
    const control = makeControl(option);
    control.id = `setting_${option.key}`;
    control.addEventListener("change", () => this.#save(option, control, problem, saved));
    const help = option.restart ? `${option.help} Takes effect at the next start.` : option.help;
    const words = `${option.label} ${option.key} ${option.help} ${option.section}`.toLowerCase();
    return h("div", { class: `easel-option easel-${option.kind}`, "data-words": words },
      h("label", { for: control.id }, option.label), control, saved, h("p", { class: "easel-soft" }, help), problem);
  }

  /** @param {Option} option @param {HTMLElement} control @param {HTMLElement} problem @param {HTMLElement} saved */
  async #save(option, control, problem, saved) {
    problem.textContent = "";
    control.removeAttribute("aria-invalid");
    try {
      await post("/easel/settings", { [option.key]: readControl(option, control) });
      window.dispatchEvent(new Event("easel-settings"));
      saved.textContent = "Saved";
      setTimeout(() => (saved.textContent = ""), SAVED_MS);
    } catch (error) {
      control.setAttribute("aria-invalid", "true");
      problem.textContent = error instanceof Refused ? error.message : String(error);
    }
  }
}

/** Show the rows that hold every word; says whether there are any. @param {HTMLElement[]} groups @param {string} text */
function filterRows(groups, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of groups) {
    const rows = /** @type {HTMLElement[]} */ ([...group.querySelectorAll(".easel-option")]);
    for (const row of rows) row.hidden = !words.every((word) => row.dataset.words?.includes(word));
    group.hidden = rows.every((row) => row.hidden);
  }
  return groups.some((group) => !group.hidden);
}

/** @param {Option} option @returns {HTMLElement} */
function makeControl(option) {
  if (option.kind === "choice" || option.choices.length) {
    // A name that is no longer in the list is still what is chosen.
    const names = option.choices.includes(option.value) ? option.choices : [option.value, ...option.choices];
    const choices = names.map((choice) => h("option", { value: choice, selected: choice === option.value }, choice));
    return h("select", {}, ...choices);
  }
  if (option.kind === "flag") return h("input", { type: "checkbox", checked: Boolean(option.value), role: "switch" });
  const text = String(option.value ?? "");
  if (option.kind === "text" && text.includes("\n")) return h("textarea", { rows: Math.min(12, text.split("\n").length), spellcheck: "false" }, text);
  const numeric = option.kind === "integer" || option.kind === "number";
  // A text box for numbers too, so that a wrong one reaches the server's check instead of vanishing.
  return h("input", { type: "text", inputmode: numeric ? "decimal" : null, value: option.value, autocomplete: "off", spellcheck: "false" });
}

/** @param {Option} option @param {any} control */
function readControl(option, control) {
  if (option.kind === "flag") return control.checked;
  if (option.kind !== "integer" && option.kind !== "number") return control.value;
  const number = Number(control.value);
  return control.value.trim() === "" || Number.isNaN(number) ? control.value : number;
}
