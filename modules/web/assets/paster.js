/** Takes generation parameters from texts and picture files and puts them on the form. */
import { Refused, post, postFile } from "./api.js";

const TEXT_TYPES = /^(text\/|application\/json$)/;
const LARGEST_TEXT = 200_000;

/**
 * @typedef {{fields: Record<string, any>, override_settings: string[], styles: string[] | null, checkpoint: string | null, notes: string[],
 *   plugins: Record<string, Record<string, any>>}} Pasted
 * @typedef {{text: string | null, source: string, format: string, width: number, height: number, items: Record<string, string>,
 *   unmapped: string[], digest: string, problem: string, pasted: Pasted | null}} PictureInfo
 */

export class Paster {
  /**
   * @param {import("./form.js").Form} form @param {import("./messages.js").Messages} messages
   * @param {import("./status.js").StatusView} checkpoints
   */
  constructor(form, messages, checkpoints) {
    this.form = form;
    this.messages = messages;
    this.checkpoints = checkpoints;
  }

  /** Fill the form from an infotext; an empty one stands for that of the last picture. @param {string} text */
  async pasteText(text) {
    try {
      const pasted = await post("/easel/paste", { text });
      if (pasted.text.trim()) this.apply(pasted);
      else this.messages.note("There is no prompt and no picture to take settings from yet.");
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** Fill the form from a file: a picture with parameters in it, or a text. @param {File | Blob} file */
  async pasteFile(file) {
    if (TEXT_TYPES.test(file.type)) {
      if (file.size <= LARGEST_TEXT) await this.pasteText(await file.text());
      else this.messages.note("This text file is too large to hold generation parameters.", "error");
      return;
    }
    try {
      const info = await readPicture(file);
      if (info.pasted) this.apply(info.pasted, info.unmapped);
      else this.messages.note("There are no generation parameters in this picture.", "error");
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** Put what was read on the form, and say so. @param {Pasted} pasted @param {string[]} [unmapped] */
  apply(pasted, unmapped = []) {
    const values = { ...pasted.fields, override_settings: this.#needed(pasted) };
    if (pasted.styles !== null) values.styles = pasted.styles;
    this.form.set({ ...values, ...pasted.plugins[this.form.page] });
    const lost = [...new Set([...pasted.notes, ...unmapped])];
    this.messages.note(summary(pasted, this.form.page === "txt2img"), "info", lost);
  }

  /** Leave out the override that asks for the checkpoint that is chosen anyway. @param {Pasted} pasted */
  #needed(pasted) {
    const chosen = pasted.checkpoint !== null && pasted.checkpoint === this.checkpoints.chosen;
    return pasted.override_settings.filter((pair) => !(chosen && pair === `Model hash: ${pasted.checkpoint}`));
  }
}

/** @param {Pasted} pasted @param {boolean} hires whether the form has Hires. fix */
function summary({ fields, styles, override_settings }, hires) {
  const names = Object.keys(fields);
  if (names.every((name) => name === "prompt" || name === "negative_prompt")) {
    return names.length > 1 ? "Pasted the prompt and the negative prompt." : "Pasted the prompt.";
  }
  const more = ["the prompt and its settings"];
  if (hires && fields.enable_hr) more.push("Hires. fix");
  if (fields.refiner_checkpoint && fields.refiner_checkpoint !== "None") more.push("the refiner");
  if (styles?.length) more.push(styles.length === 1 ? "1 style" : `${styles.length} styles`);
  if (override_settings.length) more.push(override_settings.length === 1 ? "1 override setting" : `${override_settings.length} override settings`);
  return `Pasted ${more.length > 1 ? `${more.slice(0, -1).join(", ")} and ${more[more.length - 1]}` : more[0]}.`;
}

/** Ask what a picture's file says of it. @param {File | Blob} file @returns {Promise<PictureInfo>} */
export function readPicture(file) {
  return postFile("/easel/png-info", file);
}

/** Fetch a picture of ours by its address. @param {string} address */
export async function fetchPicture(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Refused("The picture cannot be read.");
  return response.blob();
}

/** Return the address if it is one of this server. @param {string} list */
export function ourAddress(list) {
  const first = list.split("\n").find((line) => line && !line.startsWith("#"))?.trim();
  return first && URL.canParse(first) && new URL(first).origin === location.origin ? first : null;
}
