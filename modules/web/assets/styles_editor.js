/** The styles editor: choose a style or name a new one, edit its two prompts, save, delete, take the prompts from the form. */
import { get, post } from "./api.js";
import { ask, makeDialog } from "./dialogs.js";
import { h, press } from "./dom.js";

/** @typedef {{name: string, prompt: string, negative_prompt: string}} Style */

export class StylesEditor {
  /** @param {import("./messages.js").Messages} messages */
  constructor(messages) {
    this.messages = messages;
    /** @type {Style[]} */
    this.styles = [];
    /** @type {import("./form.js").Form | null} */
    this.form = null;
    /** @type {HTMLDialogElement | null} */
    this.dialog = null;
  }

  /** @param {import("./form.js").Form} form whose prompts can be taken, and whose styles are chosen */
  async show(form) {
    this.form = form;
    this.dialog ??= this.#build();
    this.dialog.showModal();
    await this.#load();
    this.#choose(this.name.value || form.values.styles?.[0] || "");
  }

  #build() {
    const button = (/** @type {string} */ id, /** @type {string} */ text, /** @type {() => void} */ action, more = "") =>
      h("button", { type: "button", id, class: `easel-button ${more}`, onclick: action }, text);
    this.choices = h("datalist", { id: "txt2img_styles_edit_choices" });
    this.name = /** @type {HTMLInputElement} */ (h("input", {
      type: "text", id: "txt2img_styles_edit_select", list: "txt2img_styles_edit_choices", autocomplete: "off", placeholder: "Choose a style or name a new one",
    }));
    this.name.addEventListener("input", () => this.#choose(this.name.value));
    this.prompt = /** @type {HTMLTextAreaElement} */ (h("textarea", { id: "txt2img_edit_style_prompt", rows: 4 }));
    this.negative = /** @type {HTMLTextAreaElement} */ (h("textarea", { id: "txt2img_edit_style_neg_prompt", rows: 4 }));
    this.list = h("div", { class: "easel-style-list", role: "listbox", "aria-label": "Styles" });
    this.problem = h("p", { class: "easel-error-text", role: "alert" });
    this.remove = button("txt2img_edit_style_delete", "Delete", () => this.#delete());
    const save = button("txt2img_edit_style_save", "Save", () => this.#save(), "easel-primary");
    const copy = button("txt2img_edit_style_copy", "Copy the form's prompts here", () => this.#copy());
    const label = (/** @type {HTMLElement} */ control, /** @type {string} */ text) => h("label", { for: control.id }, text);
    return makeDialog("Styles", "easel-styles-dialog", h("div", { class: "easel-styles-edit" }, this.list, h("div", { class: "easel-styles-fields" },
      label(this.name, "Name"), this.name, this.choices,
      label(this.prompt, "Prompt"), this.prompt, label(this.negative, "Negative prompt"), this.negative,
      h("p", { class: "easel-soft" }, "{prompt} stands for the form's prompt; without it a style is added at the end."),
      this.problem, h("div", { class: "easel-dialog-actions" }, copy, this.remove, save))));
  }

  async #load() {
    try {
      const { styles, problems } = await get("/easel/styles");
      this.styles = styles;
      this.problem.textContent = (problems ?? []).join(" ");
    } catch (error) {
      this.messages.failure(error);
    }
    this.choices.replaceChildren(...this.styles.map((style) => h("option", { value: style.name })));
    this.#showList();
  }

  #showList() {
    const chosen = this.name.value;
    this.list.replaceChildren(...this.styles.map((style) => h("button", {
      type: "button", role: "option", "aria-selected": String(style.name === chosen), title: style.prompt, onclick: () => this.#choose(style.name),
    }, style.name)));
    if (!this.styles.length) this.list.append(h("p", { class: "easel-soft" }, "No styles yet."));
  }

  /** @param {string} name */
  #choose(name) {
    this.name.value = name;
    const style = this.styles.find((each) => each.name === name);
    if (style) {
      this.prompt.value = style.prompt;
      this.negative.value = style.negative_prompt;
    }
    this.remove.hidden = !style;
    this.problem.textContent = "";
    this.#showList();
  }

  #copy() {
    this.prompt.value = this.form?.values.prompt ?? "";
    this.negative.value = this.form?.values.negative_prompt ?? "";
  }

  async #save() {
    const style = { name: this.name.value.trim(), prompt: this.prompt.value, negative_prompt: this.negative.value };
    await this.#change("/easel/styles", style, style.name);
  }

  async #delete() {
    const name = this.name.value;
    if (!(await ask(`Delete the style “${name}”?`, "Delete"))) return;
    await this.#change("/easel/styles/delete", { name }, "");
    this.prompt.value = this.negative.value = "";
    if (this.form?.values.styles?.includes(name)) {
      this.form.set({ styles: this.form.values.styles.filter((/** @type {string} */ each) => each !== name) });
    }
  }

  /** @param {string} path @param {unknown} body @param {string} next name of the style to show then */
  async #change(path, body, next) {
    try {
      await post(path, body);
      press("easel_checkpoint_sync");
      await this.#load();
      this.#choose(next);
    } catch (error) {
      this.problem.textContent = error instanceof Error ? error.message : String(error);
    }
  }
}
