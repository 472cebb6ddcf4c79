/** Beside texts of comma separated values: what there is to choose from. Below a script's fields: buttons that exchange two of them. */
import { get } from "./api.js";
import { makeDialog } from "./dialogs.js";
import { h, whenPresent } from "./dom.js";

/** From so many values on the list can be searched. */
const MANY = 12;

export class OfferedValues {
  /**
   * @param {import("./form.js").Form} form @param {Record<string, string>} scripts titles by name
   * @param {{script: string, label: string, element: string, pairs: string[][]}[]} swaps
   * @param {import("./messages.js").Messages} messages
   */
  constructor(form, scripts, swaps, messages) {
    this.form = form;
    this.scripts = scripts;
    this.swaps = swaps;
    this.messages = messages;
    this.fields = form.fields.filter((field) => field.offeredBy);
    /** @type {Record<string, string>} by field: for which value of the other one its buttons are */
    this.shown = {};
    /** @type {Record<string, string[]>} */
    this.values = {};
  }

  start() {
    if (!this.fields.length) return;
    for (const field of this.fields) whenPresent(`#${field.element}`, (element) => this.#addButtons(field, element));
    for (const script of new Set(this.swaps.map((swap) => swap.script))) {
      whenPresent(`#${this.form.page}_script_${script}`, (place) => this.#addSwaps(script, place));
    }
    this.form.addEventListener("change", () => this.#look());
  }

  /** @param {import("./form.js").Field} field @param {HTMLElement} element */
  #addButtons(field, element) {
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ action) =>
      h("button", { type: "button", class: "easel-quiet", title, "aria-label": `${field.label}: ${text}`, onclick: action }, text);
    const choose = button("Choose …", "Choose from a list", () => this.#choose(field));
    const fill = button("All", "Fill in all that there are", () => this.#set(field, this.values[field.name]));
    element.append(h("div", { class: "easel-offered", hidden: true, "data-easel-field": field.name }, choose, fill));
    delete this.shown[field.name];
    this.#look();
  }

  /** @param {string} script @param {HTMLElement} place */
  #addSwaps(script, place) {
    const own = this.swaps.filter((swap) => swap.script === script);
    place.append(h("div", { class: "easel-swaps" }, ...own.map(({ label, element, pairs }) =>
      h("button", { type: "button", class: "easel-button", id: `${this.form.page}_${element}`, onclick: () => this.#swap(pairs) }, label))));
    this.#look();
  }

  /** @param {string[][]} pairs */
  #swap(pairs) {
    const { values } = this.form;
    this.form.set(Object.fromEntries(pairs.flatMap(([one, other]) => [[one, values[other]], [other, values[one]]])));
  }

  /** Ask what is offered now where that has changed. */
  async #look() {
    const { values } = this.form;
    for (const field of this.fields) {
      const plugin = field.plugin?.name ?? "";
      const value = String(values[field.offeredBy ?? ""]);
      if (values.script !== this.scripts[plugin] || this.shown[field.name] === value) continue;
      this.shown[field.name] = value;
      try {
        this.values[field.name] = (await get(`/easel/plugins/${plugin}/offered?value=${encodeURIComponent(value)}`)).values;
      } catch (error) {
        this.values[field.name] = [];
        this.messages.failure(error);
      }
      const buttons = document.querySelector(`.easel-offered[data-easel-field="${field.name}"]`);
      buttons?.toggleAttribute("hidden", !this.values[field.name].length);
    }
  }

  /** @param {import("./form.js").Field} field @param {string[]} values */
  #set(field, values) {
    this.form.set({ [field.name]: joinedValues(values) });
  }

  /** @param {import("./form.js").Field} field */
  #choose(field) {
    const offered = this.values[field.name];
    const written = splitValues(this.form.values[field.name]);
    const rows = offered.map((value) => {
      const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", value, checked: written.includes(value) }));
      return { value, box, row: h("label", { class: "easel-offered-row" }, box, value) };
    });
    const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search", hidden: offered.length < MANY });
    search.addEventListener("input", () => {
      const wanted = /** @type {HTMLInputElement} */ (search).value.toLowerCase();
      for (const { value, row } of rows) row.hidden = !value.toLowerCase().includes(wanted);
    });
    const check = (/** @type {boolean} */ on) => rows.forEach(({ box, row }) => row.hidden || (box.checked = on));
    const button = (/** @type {string} */ text, /** @type {() => void} */ action, more = "") =>
      h("button", { type: "button", class: `easel-button ${more}`, onclick: action }, text);
    const done = () => {
      const chosen = rows.filter(({ box }) => box.checked).map(({ value }) => value);
      // What is written there and not in the list, a name in short perhaps, stays in front.
      this.#set(field, [...written.filter((value) => !offered.includes(value)), ...chosen]);
      dialog.close();
    };
    const dialog = makeDialog(field.label, "easel-offered-dialog", search, h("div", { class: "easel-offered-list" }, ...rows.map(({ row }) => row)),
      h("div", { class: "easel-dialog-actions" }, button("All", () => check(true)), button("None", () => check(false)), button("Use these", done, "easel-primary")));
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
  }
}

/** Return the values of a line, of which those with a comma of their own stand in quotation marks. @param {string} text */
export function splitValues(text) {
  const values = [];
  for (const [, quoted, plain] of text.matchAll(/\s*(?:"((?:[^"]|"")*)"\s*|([^,]*))(?:,|$)/g)) {
    values.push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'));
  }
  return values.filter(Boolean);
}

/** @param {string[]} values */
export function joinedValues(values) {
  return values.map((value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(", ");
}
