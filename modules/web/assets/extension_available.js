/** The extensions that can be installed: A1111's list, searched, filtered by tags and sorted. */
import { get, post, postFile } from "./api.js";
import { debounce, h } from "./dom.js";
import { textBox } from "./panels.js";

const SHOWN = 100;
const HIDDEN_TAGS = ["ads", "localization", "installed"];
const ORDERS = {
  newest: { text: "Newest first", compare: (/** @type {Entry} */ a, /** @type {Entry} */ b) => b.added.localeCompare(a.added) },
  oldest: { text: "Oldest first", compare: (/** @type {Entry} */ a, /** @type {Entry} */ b) => a.added.localeCompare(b.added) },
  stars: { text: "Most stars", compare: (/** @type {Entry} */ a, /** @type {Entry} */ b) => (b.stars ?? 0) - (a.stars ?? 0) },
  updated: { text: "Last updated", compare: (/** @type {Entry} */ a, /** @type {Entry} */ b) => b.updated.localeCompare(a.updated) },
  name: { text: "By name", compare: (/** @type {Entry} */ a, /** @type {Entry} */ b) => a.name.localeCompare(b.name) },
};

/** @typedef {{name: string, url: string, description: string, tags: string[], added: string, updated: string, stars: number | null, installed: boolean}} Entry */

export class AvailableList {
  /** @param {import("./extension_list.js").Parts} parts */
  constructor(parts) {
    this.parts = parts;
    /** @type {Entry[]} */
    this.entries = [];
    this.hidden = new Set(HIDDEN_TAGS);
    this.address = textBox("available_url", { "aria-label": "Address of the list" });
    this.search = textBox("available_search", { placeholder: "Search", "aria-label": "Search the list" });
    this.order = /** @type {HTMLSelectElement} */ (h("select", { id: "available_order", class: "easel-select", "aria-label": "Order" },
      ...Object.entries(ORDERS).map(([value, { text }]) => h("option", { value }, text))));
    this.file = /** @type {HTMLInputElement} */ (h("input", { type: "file", id: "available_file", accept: ".json,application/json", class: "easel-offscreen" }));
    this.load = h("button", { type: "button", class: "easel-button easel-primary", id: "available_load", onclick: () => this.#take(post("/easel/extensions/index", { text: this.address.value })) }, "Load");
    const fromFile = h("button", { type: "button", class: "easel-button", id: "available_from_file", onclick: () => this.file.click() }, "From a file");
    this.file.addEventListener("change", () => {
      const file = this.file.files?.[0];
      if (file) this.#take(postFile("/easel/extensions/index/file", file));
      this.file.value = "";
    });
    this.tags = h("div", { class: "easel-extension-tags", role: "group", "aria-label": "Hide extensions with these tags" });
    this.list = h("div", { class: "easel-extension-list" });
    this.count = h("p", { class: "easel-soft", role: "status" });
    const draw = debounce(() => this.#draw(), 120);
    this.search.addEventListener("input", draw);
    this.order.addEventListener("change", draw);
    this.box = h("section", { class: "easel-fields", role: "tabpanel" },
      h("div", { class: "easel-extension-bar" }, this.address, this.load, fromFile, this.file),
      h("div", { class: "easel-extension-bar" }, this.search, this.order), this.tags, this.count, this.list);
  }

  /** @param {import("./extensions.js").Overview} overview */
  async show(overview) {
    this.mayInstall = !overview.why_not;
    this.load.toggleAttribute("disabled", !this.mayInstall);
    await this.#take(get("/easel/extensions/index"));
  }

  /** @param {Promise<any>} answer */
  async #take(answer) {
    try {
      const { address, source, tags, extensions } = await answer;
      this.address.value ||= address;
      this.source = source;
      this.entries = extensions.map((/** @type {Entry} */ each) => (each.installed ? { ...each, tags: [...each.tags, "installed"] } : each));
      this.#showTags(tags);
      this.#draw();
    } catch (error) {
      this.parts.messages.failure(error);
    }
  }

  /** @param {Record<string, string>} meanings */
  #showTags(meanings) {
    const found = [...new Set(this.entries.flatMap((entry) => entry.tags))].sort();
    this.tags.replaceChildren(...(found.length ? [h("span", { class: "easel-soft" }, "Hide")] : []), ...found.map((tag) => {
      const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", value: tag }));
      box.checked = this.hidden.has(tag);
      box.addEventListener("change", () => {
        if (box.checked) this.hidden.add(tag);
        else this.hidden.delete(tag);
        this.#draw();
      });
      return h("label", { title: meanings[tag] ?? "" }, box, tag);
    }));
  }

  #draw() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = this.entries.filter((entry) => !entry.tags.some((tag) => this.hidden.has(tag)) &&
      words.every((word) => `${entry.name} ${entry.description} ${entry.url} ${entry.tags.join(" ")}`.toLowerCase().includes(word)));
    wanted.sort(ORDERS[this.order.value].compare);
    this.count.textContent = this.entries.length ? `${wanted.length} of ${this.entries.length}${wanted.length > SHOWN ? `, the first ${SHOWN} are shown` : ""}`
      : "Load the list from its address or from a file. Nothing is asked of any server before that.";
    this.list.replaceChildren(...wanted.slice(0, SHOWN).map((entry) => this.#card(entry)));
  }

  /** @param {Entry} entry */
  #card(entry) {
    const web = /^https:\/\//.test(entry.url);
    const facts = [entry.added && `added ${entry.added}`, entry.stars !== null && `★ ${entry.stars}`].filter(Boolean).join(" · ");
    return h("article", { class: "easel-panel easel-extension", "data-available": entry.url },
      h("div", { class: "easel-extension-head" }, h("div", {},
        h("p", { class: "easel-extension-title" }, web ? h("a", { href: entry.url, target: "_blank", rel: "noopener noreferrer" }, entry.name) : entry.name),
        h("p", { class: "easel-soft" }, facts)),
      h("button", { type: "button", class: "easel-button", disabled: entry.installed || !this.mayInstall, onclick: (/** @type {Event} */ event) => this.#install(entry, event) }, entry.installed ? "Installed" : "Install")),
      h("p", {}, entry.description), h("div", { class: "easel-extension-badges" }, ...entry.tags.map((tag) => h("span", { class: "easel-badge" }, tag))));
  }

  /** @param {Entry} entry @param {Event} event */
  async #install(entry, event) {
    if (event.target instanceof HTMLElement) event.target.setAttribute("disabled", "");
    await this.parts.act("install", { url: entry.url });
  }
}
