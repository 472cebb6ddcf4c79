/** The prompt inspector under the prompts: how each prompt is read. It asks the server only while it is open. */
import { Refused, post } from "./api.js";
import { debounce, h, whenPresent } from "./dom.js";
import { showInspection } from "./inspector_view.js";

const PAUSE_MS = 300;
const STARTING_MS = 1500;

export class Inspector {
  /** @param {import("./form.js").Form} form */
  constructor(form) {
    this.form = form;
    this.key = form.page === "txt2img" ? "easel.inspector" : `easel.inspector.${form.page}`;
    this.asked = "";
    this.content = h("div", { class: "easel-inspector-content", "aria-live": "off" });
    this.box = /** @type {HTMLDetailsElement} */ (h("details", { class: "easel-inspector", open: localStorage.getItem(this.key) === "open" },
      h("summary", {}, "Prompt inspector"), this.content));
  }

  start() {
    whenPresent(`#${this.form.page}_inspector`, (place) => place.replaceChildren(this.box));
    const inspect = debounce(() => this.#inspect(), PAUSE_MS);
    this.form.addEventListener("change", inspect);
    this.box.addEventListener("toggle", () => {
      localStorage.setItem(this.key, this.box.open ? "open" : "closed");
      this.#inspect();
    });
  }

  async #inspect() {
    if (!this.box.open || !this.form.restored) return;
    const values = this.form.requestValues();
    const key = JSON.stringify(values);
    if (key === this.asked) return;
    this.asked = key;
    let answer;
    try {
      answer = await post("/easel/inspect", { values });
    } catch (error) {
      if (this.asked !== key) return;
      this.asked = "";
      this.#tell(error instanceof Refused ? error.message : String(error));
      return;
    }
    if (this.asked !== key) return;
    if (!answer.prompt) {
      this.#tell("The engine is starting…");
      this.asked = "";
      setTimeout(() => this.#inspect(), STARTING_MS);
      return;
    }
    this.content.replaceChildren(
      ...showInspection("Prompt", answer.prompt, values.steps),
      ...(answer.negative_prompt?.text ? showInspection("Negative prompt", answer.negative_prompt, values.steps) : []));
  }

  /** @param {string} text */
  #tell(text) {
    this.content.replaceChildren(h("p", { class: "easel-soft" }, text));
  }
}
