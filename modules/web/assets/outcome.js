/** What became of a click on Generate: a line beside the button that stays, and the fields that are wrong. */
import { h, whenPresent } from "./dom.js";

/** @typedef {{field: string, label: string, value: string, allowed: string}} Problem */

export class Outcome {
  /** @param {string} page @param {import("./form.js").Field[]} fields @param {import("./messages.js").Messages} messages */
  constructor(page, fields, messages) {
    this.page = page;
    this.fields = fields;
    this.messages = messages;
    /** @type {Problem[]} */
    this.problems = [];
    this.detail = "";
  }

  start() {
    whenPresent(`#${this.page}_message`, () => this.#showLine());
    document.addEventListener("input", (event) => {
      const wrong = event.target instanceof Element && event.target.closest("[data-easel-wrong]");
      if (wrong instanceof HTMLElement) delete wrong.dataset.easelWrong;
    }, true);
  }

  /** Called by Gradio with the server's answer to Generate. @param {string} text */
  show(text) {
    const answer = JSON.parse(text || "{}");
    if (answer.quiet) return;
    this.detail = answer.detail ?? "";
    this.problems = answer.problems ?? [];
    this.messages.forget();
    if (this.detail) this.messages.note(this.detail, "error");
    this.#showLine();
  }

  /** Show what a route of ours refused. @param {unknown} error */
  refused(error) {
    const { message, problems } = /** @type {any} */ (error);
    this.show(JSON.stringify({ detail: message ?? String(error), problems }));
  }

  #showLine() {
    const line = document.getElementById(`${this.page}_message`);
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
