/** Installing an extension from a git address or a zip file. */
import { post, postFile } from "./api.js";
import { h } from "./dom.js";
import { clearProblems, field, showProblems, textBox } from "./panels.js";

export class InstallForms {
  /** @param {import("./extension_list.js").Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.url = textBox("install_url", { placeholder: "The address of its repository", inputmode: "url" });
    this.branch = textBox("install_branch", { placeholder: "The main branch" });
    this.name = textBox("install_name", { placeholder: "As the repository" });
    this.file = /** @type {HTMLInputElement} */ (h("input", { type: "file", id: "install_file", accept: ".zip,application/zip" }));
    this.zipName = textBox("install_zip_name", { placeholder: "As the zip file" });
    this.git = this.#form("Install", () => post("/easel/extensions/install", { url: this.url.value, branch: this.branch.value, name: this.name.value }),
      h("h3", {}, "From a git address"), field("url", "Address", this.url, "https or ssh."),
      h("div", { class: "easel-field-row" }, field("branch", "Branch or tag (optional)", this.branch), field("name", "Folder name (optional)", this.name)));
    this.zip = this.#form("Install zip", () => this.#sendZip(), h("h3", {}, "From a zip file"), field("file", "Zip file", this.file), field("name", "Folder name (optional)", this.zipName));
    this.box = h("section", { class: "easel-fields", role: "tabpanel" },
      h("p", { class: "easel-soft" }, "An extension is a program that may do on the server whatever you may. Install only what you trust."), this.git, this.zip);
  }

  /** @param {import("./extensions.js").Overview} overview */
  show(overview) {
    for (const button of this.box.querySelectorAll("button[type=submit]")) button.toggleAttribute("disabled", Boolean(overview.why_not));
  }

  /** @param {string} text @param {() => Promise<any>} send @param {...HTMLElement} content */
  #form(text, send, ...content) {
    const button = h("button", { type: "submit", class: "easel-button easel-primary" }, text);
    const form = /** @type {HTMLFormElement} */ (h("form", { class: "easel-panel", onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      clearProblems(form);
      button.setAttribute("disabled", "");
      try {
        await send();
        form.reset();
      } catch (error) {
        showProblems(form, error);
      }
      button.removeAttribute("disabled");
    } }, ...content, h("p", { class: "easel-error-text easel-form-line", role: "alert" }), h("div", { class: "easel-panel-actions" }, button)));
    return form;
  }

  async #sendZip() {
    const file = this.file.files?.[0];
    if (!file) throw new Error("Choose a zip file first.");
    return postFile(`/easel/extensions/zip?file=${encodeURIComponent(file.name)}&name=${encodeURIComponent(this.zipName.value)}`, file);
  }
}
