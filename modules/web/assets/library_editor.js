/** The dialog in which a model's notes, preview, and for checkpoints identity and defaults are edited. */
import { post, postFile } from "./api.js";
import { ask, makeDialog } from "./dialogs.js";
import { h } from "./dom.js";

/** @typedef {import("./library_details.js").ModelFacts} ModelFacts */

const CLIP_SKIP = /^Clip skip: (\d+)$/;
const NUMBERS = { steps: [1, 150, 1], cfg_scale: [1, 30, 0.5], width: [64, 2048, 8], height: [64, 2048, 8], clip_skip: [1, 12, 1] };
const IDENTITY_LABELS = { family: "Family", prediction: "Predicts", zero_snr: "Zero terminal SNR" };

export class ModelEditor {
  /** @param {import("./library_actions.js").LibraryActions} actions */
  constructor(actions) {
    this.actions = actions;
  }

  /** @param {ModelFacts} model @param {string} kind */
  show(model, kind) {
    this.kind = kind;
    this.model = model;
    /** What the fields hold now, by name. @type {Record<string, () => any>} */
    this.fields = {};
    this.problem = h("p", { class: "easel-error-text", role: "alert" });
    this.picture = h("div", { class: "easel-model-edit-picture" });
    this.#showPicture();
    const save = h("button", { type: "submit", class: "easel-button easel-primary" }, "Save");
    const cancel = h("button", { type: "button", class: "easel-button", onclick: () => this.dialog?.close() }, "Cancel");
    const form = h("form", { class: "easel-model-edit", onsubmit: (/** @type {Event} */ event) => this.#save(event) },
      h("div", { class: "easel-model-edit-columns" }, this.picture, h("div", { class: "easel-model-fields" }, ...this.#notesFields())),
      kind === "checkpoint" ? this.#checkpointFields() : null,
      this.problem, h("div", { class: "easel-dialog-actions" }, cancel, save));
    this.dialog = makeDialog(`Edit ${model.card.name}`, "easel-model-dialog", form);
    const { dialog } = this;
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
  }

  #notesFields() {
    const { notes } = this.model;
    const fields = [
      this.#area("description", "Description", notes.description || this.model.description, 2),
      this.#area("notes", "Notes", notes.notes, 3),
    ];
    if (this.kind === "lora" || this.kind === "hypernetwork") {
      fields.push(
        h("div", { class: "easel-model-pair" }, this.#select("sd_version", "Stable Diffusion version", "As its file says"), this.#weight()),
        this.#area("activation_text", "Activation text", notes.activation_text, 2), this.#suggestions(),
        this.#area("negative_text", "Negative prompt", notes.negative_text, 2));
    }
    return fields;
  }

  /** Frequent tags of the training, to be taken into the activation text. */
  #suggestions() {
    const tags = this.model.tags.slice(0, 14);
    if (!tags.length) return null;
    const add = (/** @type {string} */ tag) => {
      const area = /** @type {HTMLTextAreaElement} */ (document.getElementById("easel_model_activation_text"));
      const known = area.value.split(",").map((each) => each.trim()).filter(Boolean);
      area.value = (known.includes(tag) ? known.filter((each) => each !== tag) : [...known, tag]).join(", ");
    };
    return h("div", { class: "easel-tags" }, ...tags.map(([tag, count]) => h("button", {
      type: "button", class: "easel-tag", title: "Add to the activation text, or take out of it", onclick: () => add(tag),
    }, tag, h("small", {}, String(count)))));
  }

  #checkpointFields() {
    const { identity, choices, notes } = this.model;
    const found = identity ?? {};
    const kinds = ["family", "prediction", "zero_snr"].map((name) => this.#select(name, IDENTITY_LABELS[name], `As identified${found[name] ? `: ${found[name]}` : ""}`));
    const defaults = this.model.defaults.map(({ name, label }) => this.#default(name, label, notes.defaults[name], choices[name]));
    const take = h("button", { type: "button", class: "easel-button", onclick: () => this.#takeFromForm() }, "Take from the form");
    const clear = h("button", { type: "button", class: "easel-button", onclick: () => this.#fillDefaults({}) }, "Clear");
    return h("div", { class: "easel-model-checkpoint" },
      h("section", {}, h("h3", {}, "What it is"),
        found.problem ? h("p", { class: "easel-error-text" }, `As identified: ${found.problem}`) : null,
        h("div", { class: "easel-model-grid" }, ...kinds, this.#select("vae", "Preferred VAE", "None"))),
      h("section", {}, h("div", { class: "easel-model-section-head" }, h("h3", {}, "Defaults"), take, clear),
        h("p", { class: "easel-soft" }, "Put on the form whenever this checkpoint is chosen. Empty fields leave the form as it is."),
        h("div", { class: "easel-model-grid" }, ...defaults)));
  }

  /** @param {string} name @param {string} text @param {HTMLElement} control @param {() => any} value @param {HTMLElement} [shown] the control with what belongs to it */
  #field(name, text, control, value, shown = control) {
    control.id = `easel_model_${name}`;
    this.fields[name] = value;
    return h("div", { class: "easel-model-field" }, h("label", { for: control.id }, text), shown);
  }

  /** @param {string} name @param {string} text @param {string} value @param {number} rows */
  #area(name, text, value, rows) {
    const area = /** @type {HTMLTextAreaElement} */ (h("textarea", { rows, spellcheck: "false" }));
    area.value = value ?? "";
    return this.#field(name, text, area, () => area.value);
  }

  /** @param {string} name @param {string} text @param {string} none what nothing means */
  #select(name, text, none) {
    const chosen = this.model.notes[name] ?? "";
    const choices = this.model.choices[name] ?? [];
    const gone = chosen && !choices.some(([value]) => value === chosen) ? [[chosen, `${chosen} (not there)`]] : [];
    const select = /** @type {HTMLSelectElement} */ (h("select", { class: "easel-select" }, h("option", { value: "" }, none),
      ...[...gone, ...choices].map(([value, shown]) => h("option", { value, selected: value === chosen }, shown))));
    return this.#field(name, text, select, () => select.value);
  }

  #weight() {
    const { heaviest, notes } = this.model;
    const number = /** @type {HTMLInputElement} */ (h("input", { type: "number", min: 0, max: heaviest, step: 0.01, "aria-label": "Preferred weight" }));
    const slider = /** @type {HTMLInputElement} */ (h("input", { type: "range", min: 0, max: heaviest, step: 0.01 }));
    number.value = slider.value = String(notes.preferred_weight ?? 0);
    slider.addEventListener("input", () => (number.value = slider.value));
    number.addEventListener("input", () => (slider.value = number.value));
    return this.#field("preferred_weight", "Preferred weight (0: none)", slider, () => Number(number.value || 0),
      h("div", { class: "easel-model-weight" }, slider, number));
  }

  /** @param {string} name @param {string} text @param {any} value @param {[string, string][] | undefined} choices */
  #default(name, text, value, choices) {
    const [min, max, step] = NUMBERS[name] ?? [];
    const control = /** @type {HTMLSelectElement | HTMLInputElement} */ (choices
      ? h("select", { class: "easel-select" }, h("option", { value: "" }, "—"), ...choices.map(([each, shown]) => h("option", { value: each }, shown)))
      : h("input", { type: "number", min, max, step, placeholder: "—" }));
    control.value = value ?? "";
    return this.#field(`default_${name}`, text, control, () => (control.value === "" ? null : choices ? control.value : Number(control.value)));
  }

  #takeFromForm() {
    const { form } = this.actions.tools;
    const clip = (form.values.override_settings ?? []).map((/** @type {string} */ pair) => CLIP_SKIP.exec(pair)?.[1]).find(Boolean);
    this.#fillDefaults({ ...form.values, clip_skip: clip ?? "" });
  }

  /** @param {Record<string, any>} values */
  #fillDefaults(values) {
    for (const { name } of this.model.defaults) {
      const control = /** @type {HTMLInputElement | null} */ (document.getElementById(`easel_model_default_${name}`));
      if (control) control.value = String(values[name] ?? "");
    }
  }

  #showPicture() {
    const { card } = this.model;
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/gif", class: "easel-file", "aria-label": "Picture for the preview" }));
    input.addEventListener("change", () => input.files?.[0] && this.#change(postFile(`/easel/library/preview?kind=${this.kind}&model=${card.id}`, input.files[0])));
    const chosen = this.actions.tools.gallery.selectedImage();
    const button = (/** @type {string} */ text, /** @type {() => void} */ action, /** @type {boolean} */ disabled, title = "") =>
      h("button", { type: "button", class: "easel-button", onclick: action, disabled, title }, text);
    this.picture.replaceChildren(
      card.preview ? h("img", { class: "easel-model-picture", src: card.preview, alt: `Preview of ${card.name}` }) : h("p", { class: "easel-model-nothing" }, "No preview"),
      button(card.preview ? "Replace by the gallery's picture" : "Use the gallery's picture", () => this.#takeSelected(), !chosen, chosen ? "The picture that is selected in the gallery" : "There is no picture in the gallery yet"),
      h("label", { class: "easel-button easel-file-button" }, input, "Choose a file…"),
      card.preview ? button("Remove preview", () => this.#removePicture(), false) : "");
  }

  #takeSelected() {
    const { gallery } = this.actions.tools;
    const image = gallery.selectedImage();
    if (!image || !gallery.job) return;
    this.#change(post(this.#address("preview"), { job: gallery.job.id, index: image.index }));
  }

  async #removePicture() {
    if (await ask(`Delete the preview of ${this.model.card.name}?`, "Delete")) await this.#change(post(this.#address("remove-preview")));
  }

  /** @param {string} action */
  #address(action) {
    return `/easel/library/${this.kind}/models/${this.model.card.id}/${action}`;
  }

  /** Take over what the server answers to a change of the preview. @param {Promise<ModelFacts>} asked */
  async #change(asked) {
    this.problem.textContent = "";
    try {
      const model = await asked;
      this.model = { ...this.model, card: model.card };
      this.actions.library.changed(model.card);
      this.#showPicture();
    } catch (error) {
      this.problem.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {Event} event */
  async #save(event) {
    event.preventDefault();
    const values = Object.fromEntries(Object.entries(this.fields).map(([name, value]) => [name, value()]));
    const changes = Object.fromEntries(Object.entries(values).filter(([name]) => !name.startsWith("default_")));
    if (this.kind === "checkpoint") {
      changes.defaults = Object.fromEntries(this.model.defaults.map(({ name }) => [name, values[`default_${name}`]]).filter(([, value]) => value !== null));
    }
    if (!this.model.notes.description && changes.description === this.model.description) delete changes.description;
    try {
      const model = await post(this.#address("notes"), changes);
      this.actions.library.changed(model.card);
      if (this.kind === "checkpoint") this.actions.checkpoints.sync();
      this.dialog?.close();
      this.actions.messages.note(`The notes on ${model.card.name} are saved.`);
    } catch (error) {
      this.problem.textContent = error instanceof Error ? error.message : String(error);
    }
  }
}
