/** The Models tab: look a link up, choose what of it to fetch and where to, watch it come; the hubs' tokens. */
import { get, post } from "./api.js";
import { h } from "./dom.js";
import { checkBox, clearProblems, field, fill, showProblems, sizeText, textBox, toggle } from "./panels.js";

/**
 * @typedef {{key: string, name: string, kind: string, label: string, size: number | null, sha256: string | null,
 *   pickle: boolean, folder: boolean, has_notes: boolean}} Candidate
 * @typedef {{title: string, place: string, hub: string, candidates: Candidate[]}} Offer
 * @typedef {{key: string, label: string, folder: string, endings: string[]}} Kind
 */

const WHY_NO_PICKLES = "A .ckpt, .pt, .bin or .pth file is a pickle, which is a program. Easel reads it without running it; other software may not. Allow it only if you trust where it comes from.";

export class DownloadsView {
  /** @param {import("./messages.js").Messages} messages @param {import("./tasks.js").TaskView} tasks */
  constructor(messages, tasks) {
    this.messages = messages;
    /** @type {Kind[]} */
    this.kinds = [];
    /** @type {Offer | null} */
    this.offer = null;
    this.link = textBox("download_link", { placeholder: "owner/name, or a link", "aria-label": "Link", inputmode: "url" });
    this.lookButton = h("button", { type: "submit", id: "download_look", class: "easel-button easel-primary" }, "Look up");
    this.candidates = h("div", { class: "easel-candidates", role: "radiogroup", "aria-label": "Files" });
    this.title = h("h3", {});
    this.kind = /** @type {HTMLSelectElement} */ (h("select", { id: "download_kind", class: "easel-select" }));
    this.folder = h("span", {});
    this.name = textBox("download_name");
    this.sha256 = textBox("download_sha256", { placeholder: "64 digits, to be compared", maxlength: 64 });
    this.notes = checkBox("download_notes", true);
    this.pickle = checkBox("download_pickle");
    this.http = checkBox("download_http");
    this.begin = h("button", { type: "submit", id: "download_start", class: "easel-button easel-primary" }, "Download");
    this.tokens = h("div", { class: "easel-hub-tokens" });
    this.places = h("dl", { class: "easel-places" });
    this.#build(tasks.list((task) => task.kind === "download"));
  }

  /** @param {HTMLElement} root */
  async show(root) {
    root.replaceChildren(this.box);
    try {
      const facts = await get("/easel/downloads");
      this.kinds = facts.kinds;
      this.places.replaceChildren(...this.kinds.flatMap(({ label, folder }) => [h("dt", {}, label), h("dd", {}, folder)]));
      this.#showTokens(facts.hubs, facts.tokens);
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** @param {import("./tasks.js").TaskList} list */
  #build(list) {
    const line = () => h("p", { class: "easel-error-text easel-form-line", role: "alert" });
    this.lookForm = h("form", { class: "easel-panel", onsubmit: (/** @type {Event} */ event) => this.#look(event) },
      h("div", { class: "easel-link-row" }, this.link, this.lookButton),
      h("ul", { class: "easel-examples" }, ...[
        ["Hugging Face", "owner/name or owner/name:file.safetensors"], ["Civitai", "civitai.com/models/…"], ["Anywhere else", "the address of the file itself"],
      ].map(([place, text]) => h("li", {}, h("b", {}, place), h("code", {}, text)))),
      h("details", { class: "easel-more" }, h("summary", {}, "More"),
        toggle("allow_http", "Allow http", this.http, "For servers that know no https. Then nobody vouches for what is sent, so compare the SHA-256.")), line());
    this.pickleRow = toggle("allow_pickle", "Allow pickle files", this.pickle, WHY_NO_PICKLES);
    this.notesRow = toggle("save_notes", "Save preview and notes", this.notes, "The description, trigger words and a picture for the model's card.");
    this.hashRow = field("sha256", "SHA-256", this.sha256, "Optional. A file that has another one is thrown away.");
    const more = h("details", { class: "easel-more" }, h("summary", {}, "More"), this.hashRow);
    this.chooseForm = h("form", { class: "easel-panel", hidden: true, onsubmit: (/** @type {Event} */ event) => this.#start(event) },
      this.title, this.candidates,
      h("div", { class: "easel-field-row" }, field("kind", "Kind", this.kind, this.folder), field("name", "File name", this.name)),
      this.pickleRow, this.notesRow, more, line(), h("div", { class: "easel-panel-actions" }, this.begin));
    this.kind.addEventListener("change", () => this.#showFolder());
    const running = h("h3", {}, "Downloads");
    list.onChange = (count) => (running.hidden = count === 0);
    running.hidden = list.box.childElementCount === 0;
    this.box = h("div", { class: "easel-page" }, h("h2", {}, "Download models"),
      h("p", { class: "easel-soft" }, "Nothing is asked of any site until you press Look up."),
      this.lookForm, this.chooseForm, running, list.box,
      h("h3", {}, "Access tokens"), this.tokens, h("h3", {}, "Where they go"), this.places);
  }

  /** @param {Event} event */
  async #look(event) {
    event.preventDefault();
    clearProblems(this.lookForm);
    this.#busy(this.lookButton, "Looking…");
    try {
      this.offer = await post("/easel/downloads/look", { link: this.link.value, allow_http: this.http.checked });
      this.#showOffer();
    } catch (error) {
      this.chooseForm.hidden = true;
      showProblems(this.lookForm, error);
    }
    this.#ready(this.lookButton, "Look up");
  }

  #showOffer() {
    const { offer } = this;
    if (!offer) return;
    clearProblems(this.chooseForm);
    this.chooseForm.hidden = false;
    this.title.replaceChildren(offer.title, h("span", { class: "easel-soft" }, offer.place === offer.title ? "" : offer.place.split(" · ")[0]));
    this.candidates.replaceChildren(...offer.candidates.map((each, place) => this.#candidate(each, place === 0)));
    this.#choose(offer.candidates[0]);
    this.chooseForm.scrollIntoView({ block: "nearest" });
  }

  /** @param {Candidate} candidate @param {boolean} first */
  #candidate(candidate, first) {
    const radio = /** @type {HTMLInputElement} */ (h("input", { type: "radio", name: "download_candidate", value: candidate.key }));
    radio.checked = first;
    radio.addEventListener("change", () => this.#choose(candidate));
    const kind = this.kinds.find((each) => each.key === candidate.kind)?.label;
    return h("label", { class: "easel-candidate" }, radio,
      h("span", { class: "easel-candidate-text" }, h("b", {}, candidate.name), candidate.label ? h("span", { class: "easel-soft" }, candidate.label) : null),
      candidate.pickle ? h("span", { class: "easel-badge easel-bad" }, "pickle") : null,
      kind ? h("span", { class: "easel-badge" }, kind) : null,
      h("span", { class: "easel-candidate-size" }, sizeText(candidate.size)));
  }

  /** @param {Candidate} candidate */
  #choose(candidate) {
    this.chosen = candidate;
    fill(this.kind, [...(candidate.kind ? [] : [{ value: "", text: candidate.pickle ? "Choose what it is" : "As the file itself says" }]), ...this.kinds.map(({ key, label }) => ({ value: key, text: label }))]);
    this.kind.value = candidate.kind;
    this.kind.disabled = candidate.folder;
    this.name.value = candidate.name;
    this.sha256.value = "";
    this.sha256.placeholder = candidate.sha256 ? `${candidate.sha256.slice(0, 20)}… (known, will be compared)` : "64 digits, to be compared";
    this.hashRow.parentElement?.toggleAttribute("hidden", candidate.folder);
    this.pickleRow.hidden = !candidate.pickle;
    this.notesRow.hidden = !candidate.has_notes;
    this.begin.textContent = candidate.size ? `Download ${sizeText(candidate.size)}` : "Download";
    this.#showFolder();
  }

  #showFolder() {
    const kind = this.kinds.find((each) => each.key === this.kind.value);
    this.folder.textContent = kind ? `Into ${kind.folder}` : "";
  }

  /** @param {Event} event */
  async #start(event) {
    event.preventDefault();
    if (!this.chosen) return;
    clearProblems(this.chooseForm);
    const text = this.begin.textContent ?? "";
    this.#busy(this.begin, "Beginning…");
    try {
      await post("/easel/downloads", {
        link: this.link.value, allow_http: this.http.checked, key: this.chosen.key, kind: this.kind.value, name: this.name.value,
        sha256: this.sha256.value.trim(), allow_pickle: this.pickle.checked, save_notes: this.notes.checked,
      });
      this.chooseForm.hidden = true;
      this.link.value = "";
      this.pickle.checked = false;
    } catch (error) {
      showProblems(this.chooseForm, error);
    }
    this.#ready(this.begin, text);
  }

  /** @param {{key: string, label: string}[]} hubs @param {Record<string, boolean>} known */
  #showTokens(hubs, known) {
    this.tokens.replaceChildren(...hubs.map(({ key, label }) => {
      const input = /** @type {HTMLInputElement} */ (h("input", {
        type: "password", id: `token_${key}`, autocomplete: "off", placeholder: known[key] ? "Set. Enter another to replace it" : "Not set",
      }));
      const save = h("button", { type: "submit", class: "easel-button" }, "Save");
      const forget = h("button", { type: "button", class: "easel-button", hidden: !known[key], onclick: () => this.#setToken(hubs, key, "", form) }, "Forget");
      const form = h("form", { class: "easel-hub-token", onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        this.#setToken(hubs, key, input.value, form);
      } }, h("label", { for: input.id }, label), input, save, forget, h("p", { class: "easel-error-text easel-form-line", role: "alert" }));
      return form;
    }), h("p", { class: "easel-soft" }, "For models that their site gives to signed-in people only. A token stays on the server, is sent to that site alone and never shown again."));
  }

  /** @param {{key: string, label: string}[]} hubs @param {string} hub @param {string} token @param {HTMLElement} form */
  async #setToken(hubs, hub, token, form) {
    try {
      const { tokens } = await post("/easel/downloads/token", { hub, token });
      this.#showTokens(hubs, tokens);
      this.messages.note(tokens[hub] ? "The token is kept." : "There is no token now.");
    } catch (error) {
      showProblems(form, error);
    }
  }

  /** @param {HTMLElement} button @param {string} text */
  #busy(button, text) {
    button.setAttribute("disabled", "");
    button.textContent = text;
  }

  /** @param {HTMLElement} button @param {string} text */
  #ready(button, text) {
    button.removeAttribute("disabled");
    button.textContent = text;
  }
}
