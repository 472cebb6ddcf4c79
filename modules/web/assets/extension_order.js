/** The order in which plugins and extensions are called, and its buttons. */
import { h } from "./dom.js";

const KINDS = { plugin: "Plugins", extension: "Extensions for A1111" };

/** @typedef {{id: string, title: string, kind: "plugin" | "extension"}} Place */

export class OrderList {
  /** @param {import("./extension_list.js").Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.lists = h("div", { class: "easel-fields" });
    this.box = h("details", { class: "easel-more", id: "easel_extensions_order" }, h("summary", {}, "Order in which they are called"),
      h("p", { class: "easel-soft" }, "The first is called first, and wraps what comes after it. A plugin's own wish to come before or after another goes before this order."), this.lists);
  }

  /** @param {Place[]} order */
  show(order) {
    this.box.hidden = order.length < 2;
    this.lists.replaceChildren(...Object.entries(KINDS).map(([kind, label]) => {
      const places = order.filter((place) => place.kind === kind);
      return places.length ? h("div", { class: "easel-field" }, h("span", { class: "easel-label" }, label),
        h("ol", { class: "easel-extension-order" }, ...places.map((place, index) => this.#row(order, places, index)))) : "";
    }));
  }

  /** @param {Place[]} order @param {Place[]} places @param {number} index */
  #row(order, places, index) {
    const { id, title } = places[index];
    const button = (/** @type {number} */ by, /** @type {string} */ sign, /** @type {string} */ word) => h("button", {
      type: "button", class: "easel-button", "aria-label": `${title} ${word}`, disabled: !places[index + by], onclick: () => this.#move(order, places[index], places[index + by]),
    }, sign);
    return h("li", { class: "easel-extension-row", "data-plugin": id }, h("span", {}, title), h("span", {}, button(-1, "↑", "earlier"), button(1, "↓", "later")));
  }

  /** Let two change places. @param {Place[]} order @param {Place} one @param {Place} other */
  #move(order, one, other) {
    const names = order.map(({ id }) => (id === one.id ? other.id : id === other.id ? one.id : id));
    return this.parts.act("order", { names });
  }
}
