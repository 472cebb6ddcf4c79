/** Pictures chosen for a batch: files, whole folders or what is dropped; each goes to the server at once. */
import { Refused } from "./api.js";
import { sendPicture } from "./canvas_upload.js";
import { h } from "./dom.js";
import { sizeText } from "./panels.js";

const ENDINGS = /\.(png|jpe?g|webp|avif|gif|bmp|tiff?)$/i;
const AT_ONCE = 3;
/** More names than these are only counted. */
const LISTED = 300;

/** @typedef {{name: string, file: File, id: string, refused: string}} Chosen `id` once the server has it, `refused` why it does not */

export class FilePicker extends EventTarget {
  /** @param {string} name the field's name on the server @param {string} label @param {string} hint */
  constructor(name, label, hint) {
    super();
    const id = `img2img_batch_${name}`;
    /** @type {Chosen[]} */
    this.chosen = [];
    this.busy = 0;
    /** @type {unknown} why nothing can be sent now */
    this.failure = null;
    const input = (/** @type {Record<string, any>} */ more) => /** @type {HTMLInputElement} */ (h("input", { type: "file", multiple: true, hidden: true, ...more }));
    this.files = input({ id, accept: "image/*,.tif,.tiff,.avif" });
    this.folder = input({ id: `${id}_folder`, webkitdirectory: true });
    for (const each of [this.files, this.folder]) each.addEventListener("change", () => this.#take(each));
    this.facts = h("span", { class: "easel-batch-facts", role: "status" });
    this.clearButton = h("button", { type: "button", class: "easel-quiet", id: `${id}_clear`, onclick: () => this.clear() }, "Clear");
    this.list = h("ul", { class: "easel-batch-list", "aria-label": label });
    this.element = h("div", { class: "easel-field easel-batch-files", "data-field": name },
      h("span", { class: "easel-label" }, label),
      h("div", { class: "easel-batch-drop" },
        h("button", { type: "button", class: "easel-button", onclick: () => this.files.click() }, "Choose files"),
        h("button", { type: "button", class: "easel-button", onclick: () => this.folder.click() }, "Choose a folder"),
        h("span", { class: "easel-soft" }, "or drop them here"), this.files, this.folder),
      h("p", { class: "easel-soft" }, hint),
      h("div", { class: "easel-batch-sum" }, this.facts, this.clearButton), this.list,
      h("p", { class: "easel-error-text", role: "alert" }));
    this.#acceptDrops(/** @type {HTMLElement} */ (this.element.querySelector(".easel-batch-drop")));
    this.#show();
  }

  /** @param {{name: string, file: File}[]} files */
  add(files) {
    const known = new Set(this.chosen.map(({ name }) => name));
    const fresh = files.filter(({ name }) => ENDINGS.test(name) && !name.split("/").some((part) => part.startsWith(".")) && !known.has(name));
    fresh.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
    this.chosen.push(...fresh.map(({ name, file }) => ({ name, file, id: "", refused: "" })));
    this.#changed();
    this.#send();
  }

  clear() {
    this.chosen = [];
    this.#changed();
  }

  /** Return what is at the server once all is, and what was refused by name. */
  async sent() {
    this.failure = null;
    await this.#send();
    if (this.failure) throw this.failure;
    return {
      files: this.chosen.filter(({ id }) => id).map(({ id, name }) => ({ id, name })),
      refused: this.chosen.filter(({ refused }) => refused).map(({ name, refused }) => `${name}: ${refused}`),
    };
  }

  /** Send what is not at the server yet, a few at once. */
  async #send() {
    this.running ??= Promise.all(Array.from({ length: AT_ONCE }, () => this.#work())).finally(() => (this.running = null));
    await this.running;
    // Files may have been added when the last worker had just ended.
    if (!this.failure && this.chosen.some((each) => !each.id && !each.refused)) await this.#send();
  }

  async #work() {
    const taken = this.taken ?? (this.taken = new Set());
    for (let next = this.#next(taken); next && !this.failure; next = this.#next(taken)) {
      taken.add(next);
      try {
        next.id = (await sendPicture(next.file)).id;
      } catch (error) {
        // What is wrong with a file is told by its field; anything else is wrong for all of them.
        if (error instanceof Refused && error.problems.length) next.refused = `${error.problems[0].value}; allowed is ${error.problems[0].allowed}.`;
        else this.failure = error;
      }
      taken.delete(next);
      this.#show();
    }
  }

  /** @param {Set<Chosen>} taken */
  #next(taken) {
    return this.chosen.find((each) => !each.id && !each.refused && !taken.has(each));
  }

  /** @param {HTMLInputElement} input */
  #take(input) {
    this.add([...(input.files ?? [])].map((file) => ({ name: file.webkitRelativePath || file.name, file })));
    input.value = "";
  }

  /** @param {HTMLElement} place */
  #acceptDrops(place) {
    place.addEventListener("dragover", (event) => {
      event.preventDefault();
      event.stopPropagation();
      place.dataset.over = "yes";
    });
    place.addEventListener("dragleave", () => delete place.dataset.over);
    place.addEventListener("drop", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      delete place.dataset.over;
      const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
      const plain = [...(event.dataTransfer?.files ?? [])].map((file) => ({ name: file.name, file }));
      this.add(entries.length ? (await Promise.all(entries.map((entry) => filesOf(entry)))).flat() : plain);
    });
  }

  #changed() {
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  #show() {
    const { chosen } = this;
    const sent = chosen.filter(({ id }) => id).length;
    const refused = chosen.filter((each) => each.refused).length;
    const total = chosen.reduce((sum, { file }) => sum + file.size, 0);
    const waiting = chosen.length - sent - refused;
    const parts = [chosen.length === 1 ? "1 picture" : `${chosen.length} pictures`, sizeText(total), waiting ? `${sent} sent` : "", refused ? `${refused} cannot be used` : ""];
    this.facts.textContent = chosen.length ? parts.filter(Boolean).join(" · ") : "";
    this.clearButton.hidden = this.list.hidden = !chosen.length;
    const rows = [...chosen].sort((one, other) => Number(Boolean(other.refused)) - Number(Boolean(one.refused))).slice(0, LISTED);
    this.list.replaceChildren(...rows.map((each) => this.#row(each)), ...(chosen.length > LISTED ? [h("li", { class: "easel-soft" }, `and ${chosen.length - LISTED} more`)] : []));
  }

  /** @param {Chosen} each */
  #row(each) {
    const remove = () => {
      this.chosen = this.chosen.filter((other) => other !== each);
      this.#changed();
    };
    return h("li", { "data-state": each.refused ? "refused" : each.id ? "sent" : "waiting" }, h("span", { title: each.name }, each.name),
      each.refused ? h("span", { class: "easel-error-text" }, each.refused) : null,
      h("button", { type: "button", class: "easel-quiet", "aria-label": `Remove ${each.name}`, title: "Remove", onclick: remove }, "✕"));
  }
}

/** Return the files that a dropped entry is or has in it. @param {FileSystemEntry} entry @returns {Promise<{name: string, file: File}[]>} */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    return [{ name: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map((each) => filesOf(each)))).flat();
}
