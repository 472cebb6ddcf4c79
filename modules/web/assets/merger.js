/** The Checkpoint Merger tab: A1111's form, what the result will be called, and the merges that run. */
import { Refused, get, post } from "./api.js";
import { debounce, h } from "./dom.js";
import { checkBox, clearProblems, field, fill, showProblems, textBox, toggle } from "./panels.js";

const PAUSE_MS = 250;
const METHODS = {
  "No interpolation": "A as it is, to change its precision, VAE or metadata",
  "Weighted sum": "A · (1 − M) + B · M",
  "Add difference": "A + (B − C) · M",
};
const NEEDED = { "No interpolation": 1, "Weighted sum": 2, "Add difference": 3 };

/** @typedef {{title: string, name: string, family: string, variant: string, folder: boolean}} Checkpoint */

export class MergerView {
  /** @param {import("./messages.js").Messages} messages @param {import("./tasks.js").TaskView} tasks */
  constructor(messages, tasks) {
    this.messages = messages;
    const select = (/** @type {string} */ id) => /** @type {HTMLSelectElement} */ (h("select", { id: `modelmerger_${id}`, class: "easel-select" }));
    this.models = [select("primary_model_name"), select("secondary_model_name"), select("tertiary_model_name")];
    this.name = textBox("modelmerger_custom_name", { placeholder: "Made up from the models' names" });
    this.slider = /** @type {HTMLInputElement} */ (h("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.3, "aria-label": "Multiplier (M)" }));
    this.amount = /** @type {HTMLInputElement} */ (h("input", { type: "number", id: "modelmerger_interp_amount", min: 0, max: 1, step: 0.05, value: 0.3 }));
    this.methods = h("div", { id: "modelmerger_interp_method", class: "easel-methods", role: "radiogroup", "aria-label": "Interpolation method" });
    this.half = checkBox("modelmerger_save_as_half");
    this.vae = select("bake_in_vae");
    this.discard = textBox("modelmerger_discard_weights", { placeholder: "A regular expression, such as ^model_ema" });
    this.saveMetadata = checkBox("modelmerger_save_metadata", true);
    this.recipe = checkBox("modelmerger_add_merge_recipe", true);
    this.copy = checkBox("modelmerger_copy_metadata_fields", true);
    this.metadata = /** @type {HTMLTextAreaElement} */ (h("textarea", { id: "modelmerger_metadata_json", rows: 8, spellcheck: "false" }));
    this.metadata.value = "{}";
    this.result = h("output", { id: "modelmerger_result", class: "easel-result-name" });
    this.merge = h("button", { type: "submit", id: "modelmerger_merge", class: "easel-button easel-primary" }, "Merge");
    this.method = "Weighted sum";
    this.#build(tasks.list((task) => task.kind === "merge"));
    this.plan = debounce(() => this.#plan(), PAUSE_MS);
    this.form.addEventListener("input", this.plan);
    document.addEventListener("easel:models-changed", () => this.#load());
  }

  /** @param {HTMLElement} root */
  async show(root) {
    root.replaceChildren(this.box);
    await this.#load();
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#load()).observe(this.box);
  }

  /** @param {import("./tasks.js").TaskList} list */
  #build(list) {
    const [a, b, c] = this.models;
    this.second = field("secondary", "Secondary model (B)", b);
    this.third = field("tertiary", "Tertiary model (C)", c);
    this.multiplier = field("multiplier", "Multiplier (M)", h("div", { class: "easel-slider" }, this.slider, this.amount), "0 leaves A as it is.");
    this.multiplier.querySelector("label")?.setAttribute("for", this.amount.id);
    const showPart = () => this.slider.style.setProperty("--easel-part", `${Number(this.slider.value) * 100}%`);
    this.slider.addEventListener("input", () => {
      this.amount.value = this.slider.value;
      showPart();
    });
    this.amount.addEventListener("input", () => {
      this.slider.value = this.amount.value;
      showPart();
    });
    const read = h("button", { type: "button", id: "modelmerger_read_metadata", class: "easel-button", onclick: () => this.#readMetadata() }, "Read metadata from selected checkpoints");
    this.editor = h("div", { class: "easel-fields" }, toggle("add_recipe", "Add merge recipe metadata", this.recipe, "What was merged and how, as A1111 writes it."),
      toggle("copy_metadata", "Copy metadata from merged models", this.copy), field("metadata", "Metadata in JSON format", this.metadata), h("div", {}, read));
    this.saveMetadata.addEventListener("input", () => (this.editor.hidden = !this.saveMetadata.checked));
    this.form = h("form", { class: "easel-merger-form", onsubmit: (/** @type {Event} */ event) => this.#start(event) },
      h("div", { class: "easel-panel easel-fields" }, field("primary", "Primary model (A)", a), this.second, this.third,
        h("div", { class: "easel-field", "data-field": "interpolation" }, h("span", { class: "easel-label" }, "Interpolation method"), this.methods, h("p", { class: "easel-error-text", role: "alert" })),
        this.multiplier),
      h("div", { class: "easel-panel easel-fields" }, field("custom_name", "Custom Name (optional)", this.name), field("vae", "Bake in VAE", this.vae),
        field("discard", "Discard weights with matching name", this.discard), toggle("save_as_half", "Save as float16", this.half, "Half the size; pictures differ in the last digits."),
        h("p", { class: "easel-soft" }, "Checkpoint format: safetensors. A .ckpt would be a pickle, which can run programs, so none is written.")),
      h("details", { class: "easel-panel easel-more" }, h("summary", {}, "Metadata"), h("div", { class: "easel-fields" }, toggle("save_metadata", "Save metadata", this.saveMetadata), this.editor)));
    const running = h("h3", {}, "Merges");
    list.onChange = (count) => (running.hidden = count === 0);
    running.hidden = list.box.childElementCount === 0;
    const side = h("aside", { class: "easel-merger-side" }, h("div", { class: "easel-panel easel-fields" }, h("span", { class: "easel-label" }, "Result"), this.result,
      h("p", { class: "easel-error-text easel-form-line", role: "alert" }), this.merge), running, list.box);
    this.form.append(side);
    this.box = h("div", { class: "easel-page easel-merger" }, h("h2", {}, "Checkpoint Merger"),
      h("p", { class: "easel-soft" }, "A merge of two or three checkpoints of one family makes a new one. It goes on when you leave the page, and needs little memory."), this.form);
    this.#showMethods(Object.keys(METHODS));
  }

  async #load() {
    try {
      const { checkpoints, vaes, interpolations, folder } = await get("/easel/merge");
      const options = checkpoints.map((/** @type {Checkpoint} */ each) => ({
        value: each.title, text: describe(each), disabled: each.folder,
      }));
      for (const select of this.models) fill(select, [{ value: "", text: "None" }, ...options]);
      fill(this.vae, vaes.map((/** @type {string} */ name) => ({ value: name, text: name })));
      if (this.methods.childElementCount !== interpolations.length) this.#showMethods(interpolations);
      this.folder = folder;
      this.#plan();
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** @param {string[]} names */
  #showMethods(names) {
    this.methods.replaceChildren(...names.map((name) => {
      const radio = /** @type {HTMLInputElement} */ (h("input", { type: "radio", name: "modelmerger_method", value: name }));
      radio.checked = name === this.method;
      radio.addEventListener("input", () => this.#choose(name));
      return h("label", { class: "easel-method" }, radio, h("span", {}, h("b", {}, name), h("span", { class: "easel-soft" }, METHODS[name] ?? "")));
    }));
    this.#choose(this.method);
  }

  /** @param {string} name */
  #choose(name) {
    this.method = name;
    this.second.hidden = NEEDED[name] < 2;
    this.third.hidden = NEEDED[name] < 3;
    this.multiplier.hidden = NEEDED[name] < 2;
  }

  #values() {
    const [primary, secondary, tertiary] = this.models.map((select) => select.value);
    return {
      primary, secondary, tertiary, interpolation: this.method, multiplier: this.amount.value === "" ? -1 : Number(this.amount.value), save_as_half: this.half.checked,
      custom_name: this.name.value, vae: this.vae.value || "None", discard: this.discard.value, save_metadata: this.saveMetadata.checked,
      add_recipe: this.recipe.checked, copy_metadata: this.copy.checked, metadata: this.metadata.value,
    };
  }

  /** Whether as many models are chosen as the method needs. */
  #complete() {
    return this.models.slice(0, NEEDED[this.method]).every((select) => select.value);
  }

  /** Show what would come out, or why nothing can. */
  async #plan() {
    clearProblems(this.form);
    if (!this.#complete()) {
      this.result.textContent = "Choose the models first.";
      this.result.dataset.state = "open";
      return;
    }
    try {
      const { name, detail, problems = [] } = await post("/easel/merge/plan", this.#values());
      this.result.dataset.state = name ? "good" : "open";
      if (name) {
        this.result.replaceChildren(h("b", {}, name), h("span", { class: "easel-soft" }, `in ${this.folder}`));
      } else if (problems.length === 1 && problems[0].field === "custom_name") {
        this.result.textContent = `${problems[0].value} is there already. Choose another name.`;
      } else {
        this.result.textContent = "Nothing yet.";
        showProblems(this.form, new Refused(detail, problems));
      }
    } catch (error) {
      showProblems(this.form, error);
    }
  }

  async #readMetadata() {
    const { primary, secondary, tertiary } = this.#values();
    try {
      const { metadata } = await post("/easel/merge/metadata", { primary, secondary, tertiary });
      this.metadata.value = metadata;
      this.plan();
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** @param {Event} event */
  async #start(event) {
    event.preventDefault();
    clearProblems(this.form);
    this.merge.setAttribute("disabled", "");
    try {
      await post("/easel/merge", this.#values());
      this.name.value = "";
    } catch (error) {
      showProblems(this.form, error);
    }
    this.merge.removeAttribute("disabled");
  }
}

/** @param {Checkpoint} checkpoint */
function describe({ name, family, variant, folder }) {
  const more = [folder ? "a diffusers folder, which cannot be merged" : family.toUpperCase().replace("_", " "), variant !== "base" ? variant : ""];
  return `${name} (${more.filter(Boolean).join(", ")})`;
}
