/**
 * The tabs within a generation page: its form, and the libraries of model files. The prompts stay above all of them.
 * A library's scripts are only fetched when one is opened.
 */
import { get } from "./api.js";
import { h, whenPresent } from "./dom.js";
import { PromptCursor } from "./prompt_cursor.js";

/** @typedef {{id: string, label: string, kind: string | null}} InnerTab */

/** A1111's tabs by its names and in its order. @type {InnerTab[]} */
const TABS = [
  { id: "generation", label: "Generation", kind: null },
  { id: "textual_inversion", label: "Textual Inversion", kind: "embedding" },
  { id: "hypernetworks", label: "Hypernetworks", kind: "hypernetwork" },
  { id: "checkpoints", label: "Checkpoints", kind: "checkpoint" },
  { id: "lora", label: "Lora", kind: "lora" },
  { id: "vae", label: "VAE", kind: "vae" },
];

/**
 * What a library panel works with.
 * @typedef {{page: string, form: import("./form.js").Form, messages: import("./messages.js").Messages, live: import("./live.js").Live,
 *   checkpoints: import("./status.js").StatusView, gallery: import("./gallery.js").Gallery,
 *   cursor: import("./prompt_cursor.js").PromptCursor}} LibraryTools
 */

export class InnerTabs {
  /** @param {Omit<LibraryTools, "cursor">} parts `page` is the tab that this one is in, such as "txt2img" */
  constructor(parts) {
    const tools = { ...parts, cursor: new PromptCursor(parts.page) };
    this.tools = tools;
    this.shown = "generation";
    /** @type {import("./library.js").Library | null} */
    this.library = null;
    this.buttons = TABS.map((tab) => h("button", {
      type: "button", role: "tab", id: `${tools.page}_${tab.id}_tab`, "data-inner-tab": tab.id, onclick: () => this.show(tab.id),
    }, tab.label));
    this.list = h("div", { class: "easel-inner-tabs", role: "tablist", "aria-label": "Generation and model files" }, ...this.buttons);
    this.list.addEventListener("keydown", (event) => this.#step(event));
    // Who points at the tabs may open one: a failed attempt is made again then.
    this.list.addEventListener("pointerenter", () => import("./library.js").catch(() => undefined), { once: true });
    this.#mark();
  }

  start() {
    const { page } = this.tools;
    this.tools.cursor.start();
    whenPresent(`#${page}_extra_tabs`, (place) => place.replaceChildren(this.list));
    whenPresent(`#${page}_library`, (place) => this.library && place.replaceChildren(this.library.box));
    whenPresent(`#${page}_generation`, () => this.#mark());
  }

  /** @param {string} id */
  async show(id) {
    this.shown = id;
    this.#mark();
    const tab = TABS.find((each) => each.id === id);
    if (!tab?.kind) {
      this.library?.leave();
      return;
    }
    if (!this.library) {
      // The server lists the folders while the scripts come; what it answers is asked for again then.
      get(`/easel/library/${tab.kind}?limit=1`).catch(() => undefined);
      const { Library } = await import("./library.js");
      this.library ??= new Library(this.tools);
      document.getElementById(`${this.tools.page}_library`)?.replaceChildren(this.library.box);
    }
    if (this.shown === id) this.library.show(tab.kind, tab.id);
  }

  #mark() {
    for (const button of this.buttons) {
      const chosen = button.dataset.innerTab === this.shown;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (chosen && this.list.isConnected) this.list.scrollLeft = button.offsetLeft - 60;
    }
    const library = this.shown !== "generation";
    document.getElementById(`${this.tools.page}_generation`)?.toggleAttribute("data-easel-away", library);
    document.getElementById(`${this.tools.page}_library`)?.toggleAttribute("data-easel-away", !library);
  }

  /** Left and Right go to the tab beside. @param {KeyboardEvent} event */
  #step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const place = this.buttons.findIndex((button) => button.dataset.innerTab === this.shown);
    const next = this.buttons[(place + by + this.buttons.length) % this.buttons.length];
    next.focus();
    this.show(next.dataset.innerTab ?? "");
  }
}
