/** The dialog that tells everything of a model: its file, its training, the tags of its training pictures, its raw metadata. */
import { makeDialog } from "./dialogs.js";
import { copyText, h } from "./dom.js";
import { hasWords } from "./library_insert.js";

const FEW_TAGS = 60;

/**
 * What the server tells of a model.
 * @typedef {{card: import("./library.js").Card, facts: [string, string][], training: [string, string][], tags: [string, number][],
 *   metadata: Record<string, string>, notes: Record<string, any>, description: string, identity: Record<string, string> | null,
 *   choices: Record<string, [string, string][]>, heaviest: number, defaults: {name: string, label: string}[]}} ModelFacts
 */

export class ModelDetails {
  /** @param {import("./library_actions.js").LibraryActions} actions */
  constructor(actions) {
    this.actions = actions;
  }

  /** @param {ModelFacts} model @param {string} kind */
  show(model, kind) {
    const { card } = model;
    const edit = h("button", { type: "button", class: "easel-button", onclick: () => {
      dialog.close();
      this.actions.editor.show(model, kind);
    } }, "🛠 Edit");
    const copy = h("button", { type: "button", class: "easel-button", onclick: async () => {
      await copyText(JSON.stringify(model.metadata, null, 2));
      this.actions.messages.note("Metadata copied.");
    } }, "Copy metadata");
    const text = model.description || model.notes.notes;
    const dialog = makeDialog(card.name, "easel-model-dialog",
      h("div", { class: "easel-model-details" },
        card.preview ? h("img", { class: "easel-model-picture", src: card.preview, alt: `Preview of ${card.name}` }) : null,
        h("div", { class: "easel-model-facts" }, text ? h("p", { class: "easel-model-description" }, text) : null, factsTable(model.facts, "File"))),
      model.tags.length ? this.#tags(model.tags, kind) : null,
      model.training.length ? factsTable(model.training, "Training") : null,
      this.#raw(model.metadata),
      h("div", { class: "easel-dialog-actions" }, Object.keys(model.metadata).length ? copy : null, edit));
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
  }

  /** @param {[string, number][]} tags @param {string} kind */
  #tags(tags, kind) {
    const prompt = () => this.actions.tools.form.values.prompt ?? "";
    const chip = (/** @type {[string, number]} */ [tag, count]) => {
      const button = h("button", {
        type: "button", class: "easel-tag", title: "Put it into the prompt", "aria-pressed": String(hasWords(prompt(), tag)),
        onclick: () => button.setAttribute("aria-pressed", String(this.actions.toggleTrainingWords(tag))),
      }, tag, h("small", {}, String(count)));
      return button;
    };
    const box = h("div", { class: "easel-tags" }, ...tags.slice(0, FEW_TAGS).map(chip));
    const rest = tags.slice(FEW_TAGS);
    const more = h("button", { type: "button", class: "easel-button", onclick: () => {
      more.remove();
      box.append(...rest.map(chip));
    } }, `${rest.length} more`);
    const use = kind === "lora" || kind === "hypernetwork" ? "A click puts a tag into the prompt." : "";
    return h("section", {}, h("h3", {}, "Tags of the training pictures"), use ? h("p", { class: "easel-soft" }, use) : null, box, rest.length ? more : null);
  }

  /** @param {Record<string, string>} metadata */
  #raw(metadata) {
    const entries = Object.entries(metadata);
    if (!entries.length) return null;
    return h("details", { class: "easel-model-raw" }, h("summary", {}, `Metadata of the file (${entries.length})`),
      h("dl", {}, ...entries.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)])));
  }
}

/** @param {[string, string][]} facts @param {string} caption */
export function factsTable(facts, caption) {
  return h("table", { class: "easel-facts-table easel-model-table" }, h("caption", {}, caption),
    h("tbody", {}, ...facts.map(([label, value]) => h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, value)))));
}
