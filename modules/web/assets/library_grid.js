/** A scrolling grid of any number of cards, of which only those in sight are in the document. Pages are fetched as they are needed. */
import { debounce, h } from "./dom.js";

export const PAGE_SIZE = 100;
const GAP = 10;
/** Rows beyond the visible ones, so that Tab and small movements find cards there. */
const SPARE_ROWS = 2;
const WIDTHS = { small: 118, medium: 164, large: 236 };
/** Height of a card by its width. */
const SHAPE = 1.42;
const SCROLL_PAUSE_MS = 60;

/** @typedef {import("./library.js").Card} Card @typedef {import("./library.js").Page} Page */

export class CardGrid {
  /**
   * @param {{fetch: (offset: number) => Promise<Page>, make: (card: Card) => HTMLElement, mark: (element: HTMLElement, card: Card) => void,
   *   failed: (error: unknown) => void}} parts
   */
  constructor({ fetch, make, mark, failed }) {
    this.fetch = fetch;
    this.make = make;
    this.markOne = mark;
    this.failed = failed;
    this.target = WIDTHS.medium;
    this.total = 0;
    this.round = 0;
    /** @type {number | null} */
    this.revision = null;
    /** @type {Map<number, Card>} */
    this.cards = new Map();
    /** @type {Set<number>} */
    this.asked = new Set();
    /** @type {Map<number, {element: HTMLElement, card: Card | null}>} what is in the document, by place */
    this.shown = new Map();
    this.canvas = h("div", { class: "easel-models-canvas" });
    this.empty = h("p", { class: "easel-empty", hidden: true }, "No model fits.");
    this.element = h("div", { class: "easel-models", role: "list" }, this.canvas, this.empty);
    const load = debounce(() => this.#load(), SCROLL_PAUSE_MS);
    this.element.addEventListener("scroll", () => {
      this.#draw();
      load();
    }, { passive: true });
    this.element.addEventListener("keydown", (event) => this.#step(event));
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  /** Forget all cards and fetch anew. @param {boolean} [stay] keep the place */
  reset(stay = false) {
    this.round += 1;
    this.cards.clear();
    this.asked.clear();
    this.revision = null;
    if (!stay) this.element.scrollTop = 0;
    const first = stay ? Math.floor(this.#range()[0] / PAGE_SIZE) : 0;
    this.#ask(first);
    if (first) this.#ask(0);
  }

  /** @param {string} size */
  resize(size) {
    const { columns, step } = this.#measure();
    const first = Math.floor(this.element.scrollTop / step) * columns;
    this.target = WIDTHS[size] ?? WIDTHS.medium;
    this.#clear();
    const now = this.#measure();
    this.#draw();
    this.element.scrollTop = Math.floor(first / now.columns) * now.step;
  }

  /** Show a card as it is now. @param {Card} card */
  replace(card) {
    for (const [place, known] of this.cards) {
      if (known.id === card.id) this.#put(place, card);
    }
    this.#draw();
  }

  /** Take over what has changed within a page whose cards are the same. @param {Page} page */
  renew(page) {
    page.models.forEach((card, place) => {
      const known = this.cards.get(place);
      if (known?.id === card.id && JSON.stringify(known) !== JSON.stringify(card)) this.#put(place, card);
    });
    this.#draw();
    this.mark();
  }

  /** Mark again which cards are in use. */
  mark() {
    for (const { element, card } of this.shown.values()) if (card) this.markOne(element, card);
  }

  /** @param {number} place @param {Card} card */
  #put(place, card) {
    this.cards.set(place, card);
    const drawn = this.shown.get(place);
    if (!drawn) return;
    const focused = drawn.element.contains(document.activeElement);
    drawn.element.remove();
    this.shown.delete(place);
    if (!focused) return;
    this.#draw();
    /** @type {HTMLElement | null | undefined} */ (this.shown.get(place)?.element.querySelector("button"))?.focus({ preventScroll: true });
  }

  /** Arrows go to the card beside, above or below. @param {KeyboardEvent} event */
  #step(event) {
    const { columns, step } = this.#measure();
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const from = [...this.shown].find(([, { element }]) => element.contains(document.activeElement));
    if (!by || !from || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const place = from[0] + by;
    if (place < 0 || place >= this.total) return;
    const top = Math.floor(place / columns) * step;
    const hidden = top + step - this.element.clientHeight;
    this.element.scrollTop = Math.max(hidden, Math.min(top, this.element.scrollTop));
    this.#draw();
    /** @type {HTMLElement | null | undefined} */ (this.shown.get(place)?.element.querySelector("button"))?.focus({ preventScroll: true });
  }

  #measure() {
    const style = getComputedStyle(this.element);
    const inner = this.element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const width = Math.max(inner || 0, 120);
    const columns = Math.max(width >= 250 ? 2 : 1, Math.floor((width + GAP) / (this.target + GAP)));
    const cardWidth = Math.floor((width - GAP * (columns - 1)) / columns);
    const cardHeight = Math.round(cardWidth * SHAPE);
    return { columns, cardWidth, cardHeight, step: cardHeight + GAP };
  }

  /** The places from the first one that is to be drawn to the one behind the last. @returns {[number, number]} */
  #range() {
    const { columns, step } = this.#measure();
    const firstRow = Math.max(0, Math.floor(this.element.scrollTop / step) - SPARE_ROWS);
    const lastRow = Math.ceil((this.element.scrollTop + this.element.clientHeight) / step) + SPARE_ROWS;
    return [firstRow * columns, Math.min(this.total, lastRow * columns)];
  }

  #draw() {
    if (!this.element.clientWidth) return;
    const size = this.#measure();
    const rows = Math.ceil(this.total / size.columns);
    this.canvas.style.height = `${Math.max(0, rows * size.step - GAP)}px`;
    const [from, to] = this.#range();
    for (const [place, drawn] of this.shown) {
      const keep = drawn.element.contains(document.activeElement) && place < this.total;
      if ((place < from || place >= to) && !keep) {
        drawn.element.remove();
        this.shown.delete(place);
      }
    }
    /** @type {Element | null} */
    let previous = null;
    for (let place = from; place < to; place += 1) {
      const element = this.#at(place);
      element.style.cssText = `width:${size.cardWidth}px;height:${size.cardHeight}px;transform:translate(${(place % size.columns) * (size.cardWidth + GAP)}px,${Math.floor(place / size.columns) * size.step}px)`;
      const follows = previous ? previous.nextElementSibling : this.canvas.firstElementChild;
      // Moving an element that has the focus would take the focus from it.
      if (follows !== element && !(element.isConnected && element.contains(document.activeElement))) this.canvas.insertBefore(element, follows);
      previous = element;
    }
  }

  /** @param {number} place */
  #at(place) {
    const card = this.cards.get(place) ?? null;
    const drawn = this.shown.get(place);
    if (drawn && drawn.card === card) return drawn.element;
    drawn?.element.remove();
    const element = card ? this.make(card) : h("div", { class: "easel-model easel-model-waiting", role: "listitem" });
    element.setAttribute("aria-setsize", String(this.total));
    element.setAttribute("aria-posinset", String(place + 1));
    if (card) this.markOne(element, card);
    this.shown.set(place, { element, card });
    return element;
  }

  /** Fetch the pages of what is in sight. */
  #load() {
    const [from, to] = this.#range();
    for (let page = Math.floor(from / PAGE_SIZE); page * PAGE_SIZE < to; page += 1) this.#ask(page);
  }

  /** @param {number} number */
  async #ask(number) {
    if (this.asked.has(number)) return;
    this.asked.add(number);
    const { round } = this;
    try {
      const page = await this.fetch(number * PAGE_SIZE);
      if (round === this.round) this.#take(page, number * PAGE_SIZE);
    } catch (error) {
      if (round !== this.round) return;
      this.asked.delete(number);
      this.failed(error);
    }
  }

  /** @param {Page} page @param {number} offset */
  #take(page, offset) {
    if (this.revision !== null && this.revision !== page.revision) {
      this.reset(true);
      return;
    }
    const isNew = this.revision === null;
    this.revision = page.revision;
    this.total = page.total;
    page.models.forEach((card, place) => this.cards.set(offset + place, card));
    this.empty.hidden = page.total > 0 || page.all === 0;
    if (isNew) this.#clear();
    this.#draw();
    this.#load();
  }

  #clear() {
    for (const { element } of this.shown.values()) element.remove();
    this.shown.clear();
  }
}
