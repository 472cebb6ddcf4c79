/** The Settings tab: every option applies as soon as it is changed; a refused value says what is allowed. */
import { Refused, get, post } from "./api.js";
import { h, whenPresent } from "./dom.js";
import { makeControl } from "./option_control.js";

const SAVED_MS = 1800;
/** What the window hears at once when there are new rows. */
const ROWS = "easel-settings-rows";
/** Sections that come first and last; the others stay between them in the server's order. */
const FIRST = ["Stable Diffusion", "Prompts", "Sampler parameters", "Guidance", "Hires fix and refiner"];
const LAST = ["System", "Compatibility"];

/** @typedef {import("./option_control.js").Option} Option */

export class SettingsView {
  /** @param {import("./messages.js").Messages} messages */
  constructor(messages) {
    this.messages = messages;
    this.saving = Promise.resolve();
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
      window.dispatchEvent(new Event(ROWS));
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
      ...options.filter((option) => option.section === section && option.look !== "hidden").map((option) => this.#row(option))));
    const none = h("p", { class: "easel-soft", role: "status", hidden: true }, "Nothing was found.");
    search.addEventListener("input", () => (none.hidden = filterRows(groups, search.value)));
    return h("div", { class: "easel-settings" }, h("div", { class: "easel-settings-head" }, h("h2", {}, "Settings"), search),
      h("p", { class: "easel-soft" }, "Changes apply at once."), none, ...groups);
  }

  /** @param {Option} option */
  #row(option) {
    const words = `${option.label} ${option.key} ${option.help} ${option.section}`.toLowerCase();
    const note = option.look === "note";
    const row = h("div", { class: `easel-option easel-${note ? "between" : option.kind}`, "data-words": words });
    const problem = h("p", { class: "easel-error-text", role: "alert" });
    const again = option.refreshes ? [this.#refresher(option, row, problem)] : [];
    const text = `${option.help}${option.restart ? " Takes effect at the next start." : ""}`.trim();
    const help = text ? [h("p", { class: "easel-soft" }, ...linked(text))] : [];
    if (note) {
      row.append(h("p", { id: `setting_${option.key}` }, ...linked(option.label)), ...again, ...help, problem);
      return row;
    }
    const saved = h("span", { class: "easel-saved", "aria-live": "polite" });
    const { box, main, read } = makeControl(option);
    main.id = `setting_${option.key}`;
    // Scripts of extensions tell of a change at the control alone; on its way there it passes here.
    box.addEventListener("change", () => this.#save(option.key, read, main, problem, saved), { capture: true });
    row.append(h("label", { for: main.id }, option.label), box, ...again, saved, ...help, problem);
    return row;
  }

  /** A button that has an option's choices looked for anew. @param {Option} option @param {HTMLElement} row @param {HTMLElement} problem */
  #refresher(option, row, problem) {
    const button = /** @type {HTMLButtonElement} */ (h("button", {
      type: "button", class: "easel-again", id: `refresh_${option.key}`, title: "Refresh", "aria-label": `Refresh ${option.label}`,
    }, "🔄"));
    button.addEventListener("click", async () => {
      button.disabled = true;
      problem.textContent = "";
      try {
        const fresh = this.#row(await post("/easel/settings/refresh", { key: option.key }));
        row.replaceWith(fresh);
        window.dispatchEvent(new Event(ROWS));
        fresh.querySelector("button")?.focus();
      } catch (error) {
        problem.textContent = error instanceof Refused ? error.message : String(error);
        button.disabled = false;
      }
    });
    return button;
  }

  /**
   * Save a value once what was changed before it is saved: of several changes of one option the last one counts.
   * @param {string} key @param {() => any} read @param {HTMLElement} control @param {HTMLElement} problem @param {HTMLElement} saved
   */
  #save(key, read, control, problem, saved) {
    this.saving = this.saving.then(() => this.#send(key, read(), control, problem, saved));
  }

  /** @param {string} key @param {any} value @param {HTMLElement} control @param {HTMLElement} problem @param {HTMLElement} saved */
  async #send(key, value, control, problem, saved) {
    problem.textContent = "";
    control.removeAttribute("aria-invalid");
    try {
      await post("/easel/settings", { [key]: value });
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

/** Return a text with its addresses as links. @param {string} text @returns {(string | HTMLElement)[]} */
function linked(text) {
  return text.split(/(https?:\/\/[^\s()<>]+)/).map((part, place) =>
    (place % 2 ? h("a", { href: part, target: "_blank", rel: "noopener noreferrer" }, part) : part));
}
