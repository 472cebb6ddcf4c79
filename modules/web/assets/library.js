/**
 * A library of model files: search, folders, order, and cards whose click inserts or chooses a model.
 * @typedef {{id: string, name: string, relative: string, description: string, problem: string, version: string, preview: string | null,
 *   call: string, tag: string, known_tags: string[], weight: number, activation: string, negative: string}} Card
 * @typedef {{models: Card[], total: number, all: number, revision: number, folders: {path: string, count: number}[], unread: number,
 *   problems: string[], vae: string}} Page
 */
import { get, post } from "./api.js";
import { debounce, h } from "./dom.js";
import { LibraryActions } from "./library_actions.js";
import { makeModelCard, markCard } from "./library_card.js";
import { FolderView } from "./library_folders.js";
import { CardGrid, PAGE_SIZE } from "./library_grid.js";

const KEY = "easel.library.";
const SORTS = { path: "Sort: Path", name: "Sort: Name", created: "Sort: Date Created", changed: "Sort: Date Modified" };
const SIZES = { small: "Small", medium: "Medium", large: "Large" };
/** Wishes for new pages wait until typing pauses. */
const TYPING_MS = 180;
/** How often is asked again while the files' headers are still being read. */
const AGAIN_MS = 2000;
const EMPTY = {
  lora: "Put LoRA files into models/Lora.", embedding: "Put embeddings into the folder embeddings.", vae: "Put VAEs into models/VAE.",
  checkpoint: "Put checkpoints into models/Stable-diffusion.", hypernetwork: "Put hypernetworks into models/hypernetworks.",
};

export class Library {
  /** @param {import("./inner_tabs.js").LibraryTools} tools */
  constructor(tools) {
    this.page = tools.page;
    this.messages = tools.messages;
    this.live = tools.live;
    this.kind = "";
    this.open = false;
    /** @type {Record<string, {text: string, folder: string}>} what is searched for, by kind */
    this.wishes = {};
    this.timer = 0;
    this.vae = "";
    this.revision = 0;
    this.unread = 0;
    this.count = "";
    this.reading = "";
    this.actions = new LibraryActions(tools, this);
    this.grid = new CardGrid({
      fetch: (offset) => this.#fetch(offset),
      make: (card) => makeModelCard(card, this.kind, this.actions),
      mark: (element, card) => markCard(element, this.actions.state(card, this.kind)),
      failed: (error) => this.messages.failure(error),
    });
    this.folders = new FolderView((folder) => this.#wish({ folder }));
    this.box = this.#build();
    this.#resize(localStorage.getItem(KEY + "size") ?? "medium");
    tools.form.addEventListener("change", () => this.open && this.grid.mark());
    tools.live.on("tasks", () => this.open && this.#showStatus());
    // Downloads and merges bring new files.
    document.addEventListener("easel:models-changed", () => {
      if (this.open) this.reload();
      else this.kind = "";
    });
    document.addEventListener("visibilitychange", () => {
      if (this.open && document.visibilityState === "visible") this.#look();
    });
  }

  /** Show the models of a kind. @param {string} kind @param {string} name of its tab, for the ids that A1111 uses */
  show(kind, name) {
    this.open = true;
    this.grid.element.id = `${this.page}_${name}_cards`;
    if (kind === this.kind) {
      this.#look();
      return;
    }
    this.kind = kind;
    this.grid.element.setAttribute("aria-label", document.getElementById(`${this.page}_${name}_tab`)?.textContent ?? name);
    this.search.value = this.#wanted().text;
    this.folders.clear();
    this.count = this.reading = "";
    this.#showStatus();
    this.grid.reset();
  }

  /** The panel is hidden. */
  leave() {
    this.open = false;
    clearTimeout(this.timer);
  }

  /** A card has changed. @param {Card} card */
  changed(card) {
    this.grid.replace(card);
  }

  /** Ask for everything anew, at the same place. */
  reload() {
    this.grid.reset(true);
  }

  #build() {
    this.search = /** @type {HTMLInputElement} */ (h("input", {
      type: "search", class: "easel-search", placeholder: "Search name, path, alias, hash, description", "aria-label": "Search models",
      autocomplete: "off", spellcheck: "false", maxlength: 400,
    }));
    this.search.addEventListener("input", debounce(() => this.#wish({ text: this.search.value.trim() }), TYPING_MS));
    this.sort = this.#choice("Sort by", SORTS, localStorage.getItem(KEY + "sort") ?? "path", (value) => this.#order("sort", value));
    this.sizes = this.#choice("Size of the cards", SIZES, localStorage.getItem(KEY + "size") ?? "medium", (value) => this.#resize(value));
    this.direction = h("button", { type: "button", class: "easel-button easel-square", onclick: () => this.#turn() });
    this.#showDirection();
    const refresh = h("button", {
      type: "button", class: "easel-button easel-square", title: "Look at the folders again", "aria-label": "Look at the folders again", onclick: () => this.#refresh(),
    }, "🔄");
    this.status = h("p", { class: "easel-library-status", role: "status" });
    this.problems = h("p", { class: "easel-error-text", role: "alert" });
    return h("div", { class: "easel-library" },
      h("div", { class: "easel-library-bar" }, this.search, this.sort, this.direction, this.sizes, this.folders.toggle, refresh),
      this.status, this.problems,
      h("div", { class: "easel-library-body" }, this.folders.element, this.grid.element));
  }

  /** @param {string} label @param {Record<string, string>} choices @param {string} value @param {(value: string) => void} chosen */
  #choice(label, choices, value, chosen) {
    const select = /** @type {HTMLSelectElement} */ (h("select", { class: "easel-select", "aria-label": label, title: label },
      ...Object.entries(choices).map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
    select.addEventListener("change", () => chosen(select.value));
    return select;
  }

  #wanted() {
    return (this.wishes[this.kind] ??= { text: "", folder: "" });
  }

  /** @param {{text?: string, folder?: string}} change */
  #wish(change) {
    Object.assign(this.#wanted(), change);
    this.grid.reset();
  }

  /** @param {string} name @param {string} value */
  #order(name, value) {
    localStorage.setItem(KEY + name, value);
    this.grid.reset();
  }

  #turn() {
    this.#order("order", this.#descending() ? "ascending" : "descending");
    this.#showDirection();
  }

  #descending() {
    return localStorage.getItem(KEY + "order") === "descending";
  }

  #showDirection() {
    const text = this.#descending() ? "Descending; click for ascending" : "Ascending; click for descending";
    this.direction.textContent = this.#descending() ? "↓" : "↑";
    this.direction.title = text;
    this.direction.setAttribute("aria-label", text);
  }

  /** @param {string} size */
  #resize(size) {
    localStorage.setItem(KEY + "size", size);
    this.grid.resize(size);
  }

  async #refresh() {
    try {
      await post(`/easel/library/${this.kind}/refresh`);
      if (this.kind === "checkpoint" || this.kind === "vae") this.actions.checkpoints.sync();
      this.reload();
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** @param {number} offset @returns {Promise<Page>} */
  async #fetch(offset) {
    const { text, folder } = this.#wanted();
    const query = new URLSearchParams({
      text, folder, sort: localStorage.getItem(KEY + "sort") ?? "path", descending: String(this.#descending()), offset: String(offset), limit: String(PAGE_SIZE),
    });
    const kind = this.kind;
    const page = await get(`/easel/library/${kind}?${query}`);
    if (kind === this.kind) this.#take(page);
    return page;
  }

  /** @param {Page} page */
  #take(page) {
    const { text, folder } = this.#wanted();
    this.vae = page.vae;
    this.revision = page.revision;
    this.unread = page.unread;
    this.folders.show(page.folders, folder, page.all);
    this.problems.textContent = page.problems.join(" ");
    this.count = page.all === 0 ? `Nothing here yet. ${EMPTY[this.kind] ?? ""}`
      : text || folder ? `${page.total.toLocaleString()} of ${page.all.toLocaleString()}` : counted(page.all);
    this.reading = page.unread && text ? `${page.unread.toLocaleString()} files are still being read, so more may be found` : "";
    this.#showStatus();
    clearTimeout(this.timer);
    if (this.open && page.unread) this.timer = window.setTimeout(() => this.#look(), AGAIN_MS);
  }

  /** How many models there are, and what is still being found out about them. */
  #showStatus() {
    const hashing = this.live.tasks.find((task) => task.kind === "hashing");
    const texts = [this.count, this.reading, hashing ? `Computing hashes: ${hashing.detail}` : ""];
    this.status.replaceChildren(...texts.filter(Boolean).map((text) => h("span", {}, text)));
  }

  /** See whether anything is new, and only then show other cards. */
  async #look() {
    const before = { revision: this.revision, unread: this.unread };
    try {
      const page = await this.#fetch(0);
      const more = this.#wanted().text && page.unread !== before.unread;
      if (page.revision !== before.revision || more) this.grid.reset(true);
      else this.grid.renew(page);
    } catch {
      // The next look, or a click, will tell.
    }
  }
}

/** @param {number} count */
function counted(count) {
  return count === 1 ? "1 model" : `${count.toLocaleString()} models`;
}
