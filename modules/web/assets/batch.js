/** img2img's Batch tab: many pictures worked over by one click, uploaded or from folders of the server. */
import { Refused, post } from "./api.js";
import { FilePicker } from "./batch_files.js";
import { h } from "./dom.js";
import { checkBox, clearProblems, field, showProblems, textBox, toggle } from "./panels.js";

const KEY = "easel.img2img.batch";
/** What a picture's own infotext may give, by A1111's names. */
const PROPS = ["Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps", "Model hash"];
const SOURCES = [{ id: "upload", label: "Upload" }, { id: "directory", label: "From directory" }];
const NOT_ADMIN = "Folders of the server are for admins only; upload the pictures instead.";

export class BatchPanel {
  /** @param {import("./form.js").Form} form @param {import("./messages.js").Messages} messages */
  constructor(form, messages) {
    this.form = form;
    this.messages = messages;
    this.admin = JSON.parse(document.getElementById("easel-facts")?.textContent ?? "{}").admin !== false;
    this.source = "upload";
    this.pictures = new FilePicker("pictures", "Pictures", "PNG, JPEG, WebP, AVIF, GIF, BMP or TIFF.");
    this.masks = new FilePicker("masks", "Masks (optional)", "One mask for all pictures, or one of the same name for each. White is painted anew.");
    const folder = (/** @type {string} */ name, /** @type {string} */ hint) => textBox(`img2img_batch_${name}`, { placeholder: hint });
    /** @type {Record<string, HTMLInputElement>} */
    this.folders = {
      input_dir: folder("input_dir", "A folder on the server"),
      output_dir: folder("output_dir", "Empty: where pictures always go"),
      inpaint_mask_dir: folder("inpaint_mask_dir", "Only for inpainting"),
      png_info_dir: folder("png_info_dir", "Empty: the pictures themselves"),
    };
    this.usePngInfo = checkBox("img2img_batch_use_png_info");
    this.props = PROPS.map((name) => {
      const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", value: name }));
      return { name, box, label: h("label", {}, box, name) };
    });
    this.element = this.#build();
    this.#restore();
    this.element.addEventListener("input", () => this.#save());
  }

  /** Whether there is anything to work over. */
  canSubmit() {
    return this.source === "upload" ? this.pictures.chosen.length > 0 : this.folders.input_dir.value.trim() !== "";
  }

  /** Put the job into the queue. @param {Record<string, any>} values those of the form @returns {Promise<{job: string}>} */
  async submit(values) {
    clearProblems(this.element);
    try {
      if (!this.canSubmit()) {
        const upload = this.source === "upload";
        const problem = upload
          ? { field: "pictures", label: "Pictures", value: "no picture", allowed: "at least one picture" }
          : { field: "input_dir", label: "Input directory", value: "an empty value", allowed: "a folder that exists on the server" };
        throw new Refused(`${problem.label}: ${problem.value} is not possible; allowed is ${problem.allowed}.`, [problem]);
      }
      const { files, refused } = this.source === "upload" ? await this.pictures.sent() : { files: [], refused: [] };
      const masks = this.source === "upload" ? await this.masks.sent() : { files: [], refused: [] };
      const answer = await post("/easel/batch", { values, ...this.#wish(), pictures: files, masks: masks.files });
      const lost = [...refused, ...masks.refused, ...answer.left_out];
      const count = answer.count === 1 ? "1 picture is" : `${answer.count} pictures are`;
      this.messages.note(lost.length ? `${count} in the queue; left out:` : `${count} in the queue.`, "info", lost);
      return answer;
    } catch (error) {
      showProblems(this.element, error);
      throw error;
    }
  }

  #wish() {
    const { input_dir, output_dir, inpaint_mask_dir, png_info_dir } = Object.fromEntries(Object.entries(this.folders).map(([name, box]) => [name, box.value]));
    const texts = {
      use_png_info: this.usePngInfo.checked, png_info_dir: this.admin ? png_info_dir : "",
      png_info_props: this.props.filter(({ box }) => box.checked).map(({ name }) => name),
    };
    return this.source === "upload" ? { source: "upload", ...texts } : { source: "directory", input_dir, output_dir, inpaint_mask_dir, ...texts };
  }

  #build() {
    this.tabs = SOURCES.map(({ id, label }) => h("button", {
      type: "button", role: "tab", id: `img2img_batch_${id}`, onclick: () => this.#choose(id),
      disabled: id === "directory" && !this.admin, title: id === "directory" && !this.admin ? NOT_ADMIN : null,
    }, label));
    const { input_dir, output_dir, inpaint_mask_dir, png_info_dir } = this.folders;
    this.panels = [
      h("div", { class: "easel-fields", role: "tabpanel", "aria-labelledby": "img2img_batch_upload" }, this.pictures.element, this.masks.element),
      h("div", { class: "easel-fields", role: "tabpanel", "aria-labelledby": "img2img_batch_directory" },
        field("input_dir", "Input directory", input_dir, "All pictures in it and in the folders below it."),
        field("output_dir", "Output directory", output_dir, "Pictures are named like those that they are made of; nothing is overwritten."),
        field("inpaint_mask_dir", "Inpaint batch mask directory", inpaint_mask_dir, "One mask for all pictures, or one of the same name for each.")),
    ];
    this.pngFolder = field("png_info_dir", "PNG info directory", png_info_dir, "Files of the same names are read there.");
    this.pngInfo = h("div", { class: "easel-fields" },
      h("div", { class: "easel-field", "data-field": "png_info_props" }, h("span", { class: "easel-label" }, "Parameters to take from png info"),
        h("div", { class: "easel-batch-props", id: "img2img_batch_png_info_props" }, ...this.props.map(({ label }) => label)),
        h("p", { class: "easel-soft" }, "Prompts are appended to those of the form; the rest replaces it."),
        h("p", { class: "easel-error-text", role: "alert" })), this.pngFolder);
    return h("div", { class: "easel-page easel-batch", id: "img2img_batch_panel" },
      h("div", { class: "easel-segments", role: "tablist", "aria-label": "Where the pictures are" }, ...this.tabs),
      this.admin ? null : h("p", { class: "easel-soft" }, NOT_ADMIN), ...this.panels,
      h("details", { class: "easel-more", id: "img2img_batch_png_info" }, h("summary", {}, "PNG info"),
        h("div", { class: "easel-fields" }, toggle("use_png_info", "Append png info to prompts", this.usePngInfo), this.pngInfo)),
      h("p", { class: "easel-error-text easel-form-line", role: "alert" }));
  }

  /** @param {string} source */
  #choose(source) {
    this.source = source === "directory" && this.admin ? "directory" : "upload";
    SOURCES.forEach(({ id }, place) => {
      this.tabs[place].setAttribute("aria-selected", String(id === this.source));
      this.panels[place].hidden = id !== this.source;
    });
    this.#show();
    this.#save();
  }

  #show() {
    this.pngInfo.hidden = !this.usePngInfo.checked;
    this.pngFolder.hidden = !this.admin;
  }

  #save() {
    this.#show();
    const folders = Object.fromEntries(Object.entries(this.folders).map(([name, box]) => [name, box.value]));
    const props = this.props.filter(({ box }) => box.checked).map(({ name }) => name);
    localStorage.setItem(KEY, JSON.stringify({ source: this.source, folders, props, use: this.usePngInfo.checked }));
  }

  #restore() {
    let kept;
    try {
      kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    } catch {
      kept = {};
    }
    for (const [name, box] of Object.entries(this.folders)) box.value = kept.folders?.[name] ?? "";
    for (const { name, box } of this.props) box.checked = kept.props?.includes(name) ?? false;
    this.usePngInfo.checked = kept.use ?? false;
    this.#choose(kept.source ?? "upload");
  }
}
