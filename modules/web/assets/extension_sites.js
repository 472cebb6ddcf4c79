/** The websites from which extensions' parts of the page may load, and those that this page was refused. */
import { h } from "./dom.js";
import { textBox } from "./panels.js";

export class SiteList {
  /** @param {import("./extension_list.js").Parts} parts */
  constructor(parts) {
    this.parts = parts;
    /** @type {string[]} */
    this.sites = [];
    this.list = h("ul", { class: "easel-extension-order" });
    this.refused = h("div", { class: "easel-field", id: "easel_extensions_refused" });
    this.field = textBox("easel_extensions_site", { placeholder: "api.github.com", inputmode: "url" });
    const form = h("form", { class: "easel-extension-bar" }, this.field, h("button", { class: "easel-button" }, "Allow"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.field.value.trim()) this.#keep([...this.sites, this.field.value]).then((done) => done && (this.field.value = ""));
    });
    this.box = h("details", { class: "easel-more", id: "easel_extensions_sites" }, h("summary", {}, "Websites"),
      h("p", { class: "easel-soft" }, "Extensions' parts of the page may load pictures, fonts, styles, data and frames from these, never scripts. The browser of everybody who opens the page asks them. Acts when the page is loaded again."),
      this.list, h("label", { class: "easel-label", for: this.field.id }, "Another website"), form, this.refused);
    // What was refused since the tab was shown is listed too.
    this.box.addEventListener("toggle", () => this.#showRefused());
  }

  /** @param {string[]} sites */
  show(sites) {
    this.sites = sites;
    // Where no extension is loaded, none can be refused anything.
    this.box.hidden = !sites.length && !("a1111Refused" in window);
    this.list.replaceChildren(...sites.map((site) => h("li", { class: "easel-extension-row", "data-site": site }, h("span", {}, site),
      h("button", { type: "button", class: "easel-button", "aria-label": `Allow ${site} no longer`, onclick: () => this.#keep(sites.filter((each) => each !== site)) }, "✕"))));
    this.#showRefused();
  }

  #showRefused() {
    /** @type {Map<string, Set<string>>} */
    const known = /** @type {any} */ (window).a1111Refused ?? new Map();
    const refused = [...known].filter(([origin]) => !this.sites.includes(origin));
    this.refused.hidden = !refused.length;
    this.refused.replaceChildren(h("span", { class: "easel-label" }, "Refused to extensions since this page was opened"),
      h("ul", { class: "easel-extension-order" }, ...refused.map(([origin, names]) => h("li", { class: "easel-extension-row", "data-refused": origin },
        h("span", {}, origin, names.size ? h("small", { class: "easel-soft" }, ` ${[...names].join(", ")}`) : null),
        h("button", { type: "button", class: "easel-button", "aria-label": `Allow ${origin}`, onclick: () => this.#keep([...this.sites, origin]) }, "Allow")))));
  }

  /** @param {string[]} names */
  #keep(names) {
    return this.parts.act("sites", { names });
  }
}
