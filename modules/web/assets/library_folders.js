/** The folders of a library, as a tree beside the cards or as a row of buttons above them. */
import { h } from "./dom.js";

const KEY = "easel.library.folders";
const VIEWS = ["tree", "dirs", "none"];
const NEXT = { tree: "as a row", dirs: "not at all", none: "as a tree" };

export class FolderView {
  /** @param {(folder: string) => void} choose called with the folder, "" for all */
  constructor(choose) {
    this.choose = choose;
    this.shown = "";
    this.element = h("nav", { class: "easel-folders", "aria-label": "Folders" });
    this.toggle = h("button", { type: "button", class: "easel-button easel-square", onclick: () => this.#turn() }, "📁");
    /** @type {Set<string>} what is folded in the tree */
    this.closed = new Set();
    this.#apply(localStorage.getItem(KEY) ?? (matchMedia("(max-width: 900px)").matches ? "dirs" : "tree"));
  }

  clear() {
    this.shown = "";
    this.closed.clear();
    this.element.replaceChildren();
  }

  /** @param {{path: string, count: number}[]} folders @param {string} chosen @param {number} all */
  show(folders, chosen, all) {
    const text = JSON.stringify([folders, chosen, all, [...this.closed]]);
    if (text === this.shown) return;
    this.shown = text;
    this.toggle.hidden = this.element.hidden = folders.length === 0;
    const focused = this.element.contains(document.activeElement);
    const visible = folders.filter(({ path }) => ![...this.closed].some((closed) => path.startsWith(`${closed}/`)));
    this.element.replaceChildren(this.#entry({ path: "", count: all }, chosen, false),
      ...visible.map((folder) => this.#entry(folder, chosen, folders.some(({ path }) => path.startsWith(`${folder.path}/`)))));
    if (focused) /** @type {HTMLElement | null} */ (this.element.querySelector("[aria-current]"))?.focus();
    this.last = /** @type {[any, string, number]} */ ([folders, chosen, all]);
  }

  /** @param {{path: string, count: number}} folder @param {string} chosen @param {boolean} holdsMore */
  #entry({ path, count }, chosen, holdsMore) {
    const parts = path.split("/");
    const name = path === "" ? "All" : parts[parts.length - 1];
    const closed = this.closed.has(path);
    const fold = holdsMore ? h("button", {
      type: "button", class: "easel-folder-fold", "aria-label": closed ? `Unfold ${name}` : `Fold ${name}`, "aria-expanded": String(!closed),
      onclick: () => this.#fold(path),
    }, "▸") : null;
    return h("div", { class: "easel-folder", style: `--depth:${path ? parts.length : 0}`, "data-deep": parts.length > 1 }, fold, h("button", {
      type: "button", class: "easel-folder-name", title: path || "All folders", "aria-current": path === chosen ? "true" : null,
      onclick: () => this.choose(path === chosen ? "" : path),
    }, h("span", { class: "easel-folder-short" }, name), h("span", { class: "easel-folder-path" }, path || "All"), h("span", { class: "easel-folder-count" }, count.toLocaleString())));
  }

  /** @param {string} path */
  #fold(path) {
    if (!this.closed.delete(path)) this.closed.add(path);
    if (this.last) this.show(...this.last);
  }

  #turn() {
    this.#apply(VIEWS[(VIEWS.indexOf(this.view) + 1) % VIEWS.length]);
    localStorage.setItem(KEY, this.view);
  }

  /** @param {string} view */
  #apply(view) {
    this.view = VIEWS.includes(view) ? view : "tree";
    this.element.dataset.view = this.view;
    const label = `Show the folders ${NEXT[this.view]}`;
    this.toggle.title = label;
    this.toggle.setAttribute("aria-label", label);
  }
}
