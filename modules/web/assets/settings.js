/** The Settings tab: every option applies as soon as it is changed; a refused value says what is allowed. */
import { Refused, get, post } from "./api.js";
import { h, whenPresent } from "./dom.js";

const SAVED_MS = 1800;

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
    const sections = [...new Set(options.map((option) => option.section))];
    return h("div", { class: "easel-settings" }, h("h2", {}, "Settings"),
      h("p", { class: "easel-soft" }, "Changes apply at once."),
      ...sections.map((section) => h("section", { class: "easel-section" }, h("h3", {}, section),
        ...options.filter((option) => option.section === section).map((option) => this.#row(option)))));
  }

  /** @param {Option} option */
  #row(option) {
    const problem = h("p", { class: "easel-error-text", role: "alert" });
    const saved = h("span", { class: "easel-saved", "aria-live": "polite" });
    const control = makeControl(option);
    control.id = `setting_${option.key}`;
    control.addEventListener("change", () => this.#save(option, control, problem, saved));
    const help = option.restart ? `${option.help} Takes effect at the next start.` : option.help;
    return h("div", { class: `easel-option easel-${option.kind}` },
      h("label", { for: control.id }, option.label), control, saved, h("p", { class: "easel-soft" }, help), problem);
  }

  /** @param {Option} option @param {HTMLElement} control @param {HTMLElement} problem @param {HTMLElement} saved */
  async #save(option, control, problem, saved) {
    problem.textContent = "";
    control.removeAttribute("aria-invalid");
    try {
      await post("/easel/settings", { [option.key]: readControl(option, control) });
      saved.textContent = "Saved";
      setTimeout(() => (saved.textContent = ""), SAVED_MS);
    } catch (error) {
      control.setAttribute("aria-invalid", "true");
      problem.textContent = error instanceof Refused ? error.message : String(error);
    }
  }
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
