/** The small buttons beside the prompts, and what can be dropped on the prompts. */
import { Refused, post } from "./api.js";
import { ask } from "./dialogs.js";
import { h, whenPresent } from "./dom.js";
import { fetchPicture, ourAddress } from "./paster.js";

const INFOTEXT = /(^|\n)\s*Steps: \d+\b.*,/;

export class PromptTools {
  /**
   * @param {import("./form.js").Form} form @param {import("./messages.js").Messages} messages
   * @param {import("./paster.js").Paster} paster @param {import("./styles_editor.js").StylesEditor} editor
   */
  constructor(form, messages, paster, editor) {
    this.form = form;
    this.messages = messages;
    this.paster = paster;
    this.editor = editor;
    this.prompts = `#${form.page}_prompt, #${form.page}_neg_prompt`;
  }

  start() {
    const button = (/** @type {string} */ id, /** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ action) =>
      h("button", { type: "button", id, class: "easel-button easel-square", title: label, "aria-label": label, onclick: action }, text);
    const { page } = this.form;
    whenPresent(`#${page}_tools`, (place) => place.replaceChildren(h("div", { class: "easel-tools" },
      button(page === "txt2img" ? "paste" : `${page}_paste`, "↙️", "Read the settings from the prompt, or from the last picture if the prompt is empty", () => this.#paste()),
      button(`${page}_clear_prompt`, "🗑️", "Clear both prompts", () => this.#clear()),
      button(`${page}_style_apply`, "📋", "Write the chosen styles into the prompts", () => this.#applyStyles()))));
    whenPresent(`#${page}_styles_edit`, (place) => place.replaceChildren(
      button(`${page}_styles_edit_button`, "🖌️", "Edit styles", () => this.editor.show(this.form))));
    document.addEventListener("dragover", (event) => this.#dragOver(event), true);
    document.addEventListener("dragleave", () => this.#mark(null), true);
    document.addEventListener("drop", (event) => this.#drop(event), true);
  }

  async #paste() {
    await this.paster.pasteText(this.form.values.prompt ?? "");
  }

  async #clear() {
    if (await ask("Delete both prompts?", "Delete")) this.form.set({ prompt: "", negative_prompt: "" });
  }

  async #applyStyles() {
    const { prompt, negative_prompt, styles } = this.form.values;
    if (!styles?.length) {
      this.messages.note("No style is chosen.");
      return;
    }
    try {
      const applied = await post("/easel/styles/apply", { prompt, negative_prompt, styles });
      this.form.set({ ...applied, styles: [] });
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** @param {DragEvent} event */
  #dragOver(event) {
    const target = this.#promptUnder(event);
    const types = event.dataTransfer?.types ?? [];
    if (!target || !(types.includes("Files") || types.includes("text/uri-list"))) return;
    event.preventDefault();
    this.#mark(target);
  }

  /** @param {Element | null} target */
  #mark(target) {
    for (const marked of document.querySelectorAll("[data-easel-drop]")) marked.removeAttribute("data-easel-drop");
    target?.setAttribute("data-easel-drop", "");
  }

  /** A file or one of our pictures gives its parameters; any other text is dropped as usual. @param {DragEvent} event */
  async #drop(event) {
    this.#mark(null);
    const data = event.dataTransfer;
    if (!this.#promptUnder(event) || !data) return;
    const file = data.files[0];
    const address = ourAddress(data.getData("text/uri-list"));
    const text = data.getData("text/plain");
    if (!file && !address && !INFOTEXT.test(text)) return;
    event.preventDefault();
    event.stopPropagation();
    try {
      if (file) await this.paster.pasteFile(file);
      else if (address) await this.paster.pasteFile(await fetchPicture(address));
      else await this.paster.pasteText(text);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.messages.failure(error);
    }
  }

  /** @param {DragEvent} event */
  #promptUnder(event) {
    return event.target instanceof Element ? event.target.closest(this.prompts) : null;
  }
}
