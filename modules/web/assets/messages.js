/** What the page says to the user: passing notes at the edge, and a line beside Generate that stays. */
import { h, whenPresent } from "./dom.js";

const NOTE_MS = 7000;
/** A note with a list takes longer to read. */
const LIST_MS = 30_000;

/** @typedef {{field: string, label: string, value: string, allowed: string}} Problem */

export class Messages {
  /** @param {import("./form.js").Field[]} fields */
  constructor(fields) {
    this.fields = fields;
    /** @type {Problem[]} */
    this.problems = [];
    this.detail = "";
    this.notes = h("div", { class: "easel-notes", role: "status", "aria-live": "polite" });
  }

  start() {
    document.body.append(this.notes);
    whenPresent("#txt2img_message", () => this.#showLine());
    document.addEventListener("input", (event) => {
      const wrong = event.target instanceof Element && event.target.closest("[data-easel-wrong]");
      if (wrong instanceof HTMLElement) delete wrong.dataset.easelWrong;
    }, true);
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

  /** Called by Gradio with the server's answer to Generate. @param {string} text */
  outcome(text) {
    const answer = JSON.parse(text || "{}");
    this.detail = answer.detail ?? "";
    this.problems = answer.problems ?? [];
    for (const note of [...this.notes.querySelectorAll(".easel-error")]) note.remove();
    if (this.detail) this.note(this.detail, "error");
    this.#showLine();
  }

  #showLine() {
    const line = document.getElementById("txt2img_message");
    const lines = this.problems.length
      ? this.problems.map((problem) => h("p", {}, h("b", {}, `${problem.label}: `),
          `${problem.value} is not possible; allowed is ${problem.allowed}.`))
      : this.detail ? [h("p", {}, this.detail)] : [];
    const content = lines.length ? [h("div", { class: "easel-line easel-error", role: "alert" }, ...lines)] : [];
    line?.replaceChildren(...content);
    for (const field of this.fields) {
      const element = document.getElementById(field.element);
      if (!element) continue;
      if (this.problems.some((problem) => problem.field === field.name)) element.dataset.easelWrong = "yes";
      else delete element.dataset.easelWrong;
    }
  }
}
