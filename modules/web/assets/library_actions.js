/** What a click on a model does: networks and embeddings go into the prompts and out again, checkpoints and VAEs are chosen. */
import { get, post } from "./api.js";
import { ModelDetails } from "./library_details.js";
import { ModelEditor } from "./library_editor.js";
import { hasTag, hasWords, inserted, withoutTag, withoutWords } from "./library_insert.js";

/** @typedef {import("./library.js").Card} Card @typedef {import("./prompt_cursor.js").PromptName} PromptName */

const AUTOMATIC = "Automatic";

export class LibraryActions {
  /** @param {import("./inner_tabs.js").LibraryTools} tools @param {import("./library.js").Library} library */
  constructor(tools, library) {
    this.tools = tools;
    this.library = library;
    this.messages = tools.messages;
    this.cursor = tools.cursor;
    this.checkpoints = tools.checkpoints;
    this.details = new ModelDetails(this);
    this.editor = new ModelEditor(this);
  }

  /** Whether a model is in use. @param {Card} card @param {string} kind */
  state(card, kind) {
    const { values } = this.tools.form;
    if (kind === "checkpoint") return card.call !== "" && card.call === this.checkpoints.chosen;
    if (kind === "vae") return card.call === this.library.vae;
    if (!card.call) return false;
    const texts = [values.prompt ?? "", values.negative_prompt ?? ""];
    if (card.tag) return card.known_tags.some((tag) => texts.some((text) => hasTag(text, tag)));
    return texts.some((text) => hasWords(text, card.call));
  }

  /** @param {Card} card @param {string} kind @param {any} button */
  async use(card, kind, button) {
    if (card.problem || !card.call) {
      this.messages.note(`${card.name} cannot be used: ${card.problem}.`.replace("..", "."), "error");
      return;
    }
    try {
      if (kind === "checkpoint") await this.#chooseCheckpoint(card);
      else if (kind === "vae") await this.#chooseVae(card);
      else {
        if (card.tag) this.#toggleTag(card);
        else this.#toggleWords(this.cursor.active, card.call);
        // Writing took the focus to the prompt.
        if (button instanceof HTMLElement) button.focus({ preventScroll: true });
      }
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** @param {Card} card */
  #toggleTag(card) {
    const { text } = this.cursor.place("prompt");
    const negative = card.negative.trim();
    const present = card.known_tags.find((tag) => hasTag(text, tag));
    if (present) {
      this.#write("prompt", withoutTag(text, present, card.activation));
      if (negative) this.#write("negative_prompt", withoutWords(this.cursor.place("negative_prompt").text, negative));
      return;
    }
    const words = card.activation.trim() ? ` ${card.activation.trim()}` : "";
    this.#insert("prompt", `<${card.tag}:${card.weight}>${words}`);
    if (negative && !hasWords(this.cursor.place("negative_prompt").text, negative)) this.#insert("negative_prompt", negative);
  }

  /** @param {PromptName} name @param {string} words */
  #toggleWords(name, words) {
    const { text } = this.cursor.place(name);
    if (hasWords(text, words)) this.#write(name, withoutWords(text, words));
    else this.#insert(name, words);
  }

  /** Put some words of the training into the prompt, or take them out; says whether they are in it then. @param {string} words */
  toggleTrainingWords(words) {
    this.#toggleWords("prompt", words);
    return hasWords(this.cursor.place("prompt").text, words);
  }

  /** @param {PromptName} name @param {string} piece */
  #insert(name, piece) {
    this.cursor.write(name, inserted(this.cursor.place(name), piece));
  }

  /** @param {PromptName} name @param {string} text */
  #write(name, text) {
    this.cursor.write(name, { text, end: text.length });
  }

  /** @param {Card} card */
  async #chooseCheckpoint(card) {
    const state = await post("/easel/checkpoint", { checkpoint: card.call });
    this.checkpoints.show(JSON.stringify(state));
    this.checkpoints.sync();
    this.library.grid.mark();
  }

  /** A second click lets the VAE be found again by itself. @param {Card} card */
  async #chooseVae(card) {
    const wanted = this.library.vae === card.call ? AUTOMATIC : card.call;
    await post("/easel/settings", { sd_vae: wanted });
    this.library.vae = wanted;
    this.library.grid.mark();
    this.messages.note(wanted === AUTOMATIC ? "SD VAE: Automatic." : `SD VAE: ${card.name}.`);
  }

  /** @param {Card} card @param {string} kind */
  async showDetails(card, kind) {
    await this.#withModel(card, kind, (model) => this.details.show(model, kind));
  }

  /** @param {Card} card @param {string} kind */
  async edit(card, kind) {
    await this.#withModel(card, kind, (model) => this.editor.show(model, kind));
  }

  /** @param {Card} card @param {string} kind @param {(model: any) => void} action */
  async #withModel(card, kind, action) {
    try {
      action(await get(`/easel/library/${kind}/models/${card.id}`));
    } catch (error) {
      this.messages.failure(error);
    }
  }
}
