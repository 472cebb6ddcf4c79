/** What the page says to the user in passing: notes at the edge. */
import { h } from "./dom.js";

const NOTE_MS = 7000;
/** A note with a list takes longer to read. */
const LIST_MS = 30_000;

export class Messages {
  constructor() {
    this.notes = h("div", { class: "easel-notes", role: "status", "aria-live": "polite" });
  }

  start() {
    document.body.append(this.notes);
  }

  /**
   * Show a note that passes.
   * @param {string} text @param {"info" | "error"} [kind] @param {string[]} [lines] what is listed under the text
   */
  note(text, kind = "info", lines = []) {
    const close = h("button", { type: "button", "aria-label": "Close", onclick: () => note.remove() }, "✕");
    const list = lines.length ? h("ul", {}, ...lines.map((line) => h("li", {}, line))) : null;
    const note = h("div", { class: `easel-note easel-${kind}` }, h("span", {}, text, list), close);
    if (this.notes.lastElementChild?.querySelector("span")?.textContent === text) this.notes.lastElementChild.remove();
    while (this.notes.childElementCount > 3) this.notes.firstElementChild?.remove();
    this.notes.append(note);
    setTimeout(() => note.remove(), lines.length ? LIST_MS : NOTE_MS);
  }

  /** Show an error of any kind as a note. @param {unknown} error */
  failure(error) {
    this.note(error instanceof Error ? error.message : String(error), "error");
  }

  /** Take the notes that tell of errors away. */
  forget() {
    for (const note of [...this.notes.querySelectorAll(".easel-error")]) note.remove();
  }
}
