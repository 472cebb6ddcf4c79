/**
 * What can be folded away on the form. Extra and Refiner are switches as in A1111: switched off, their fields count as
 * untouched, whatever they hold. The second pass's own checkpoint, sampler and prompts always count and only fold.
 * Their contents stay in the document, hidden by a style, so that everything can be filled and read at any time.
 * @typedef {{name: string, place: string, content: string, label: string, silences: boolean, fields: string[], discloses?: boolean}} Fold
 */
import { h, whenPresent } from "./dom.js";

const OWN_FIELDS = ["hr_checkpoint", "hr_sampler", "hr_scheduler", "hr_prompt", "hr_negative_prompt"];
const HIRES_FIELDS = [
  "hr_upscaler", "hr_second_pass_steps", "denoising_strength", "hr_scale", "hr_resize_x", "hr_resize_y", ...OWN_FIELDS,
];

/** @param {string} page @returns {Fold[]} */
const foldsOf = (page) => [
  {
    name: "extra", place: `#${page}_subseed_show`, content: `#${page}_seed_extras`, label: "Extra", silences: true,
    fields: ["subseed", "subseed_strength", "seed_resize_from_w", "seed_resize_from_h"],
  },
  {
    name: "refiner", place: `#${page}_enable-checkbox`, content: `#${page}_enable`, label: "Refiner", silences: true,
    fields: ["refiner_checkpoint", "refiner_switch_at"],
  },
  page === "img2img" ? {
    name: "blur", place: "#img2img_mask_blur_more", content: "#img2img_mask_blur_own",
    label: "Another blur from top to bottom", silences: true, fields: ["mask_blur_y"], discloses: true,
  } : {
    name: "own", place: "#txt2img_hr_more", content: "#txt2img_hr_own",
    label: "Another checkpoint, sampler or prompt for the second pass", silences: false, fields: OWN_FIELDS,
  },
];

export class Folds extends EventTarget {
  /** @param {string} page */
  constructor(page) {
    super();
    this.folds = foldsOf(page);
    this.key = page === "txt2img" ? "easel.fold." : `easel.fold.${page}.`;
    /** @type {Record<string, boolean>} */
    this.open = Object.fromEntries(this.folds.map((fold) => [fold.name, localStorage.getItem(this.key + fold.name) === "open"]));
  }

  start() {
    for (const fold of this.folds) {
      whenPresent(fold.place, (place) => {
        place.replaceChildren(fold.silences && !fold.discloses ? this.#makeSwitch(fold) : this.#makeDisclosure(fold));
        this.#show(fold);
      });
      whenPresent(fold.content, () => this.#show(fold));
    }
  }

  /** Return the names of the fields that count as untouched. @param {Record<string, any>} values */
  silenced(values) {
    const closed = this.folds.filter((fold) => fold.silences && !this.open[fold.name]).flatMap((fold) => fold.fields);
    return new Set(!("enable_hr" in values) || values.enable_hr ? closed : [...closed, ...HIRES_FIELDS]);
  }

  /**
   * Open what new values are in and close the switches whose fields are all untouched now.
   * @param {string[]} given names of the fields that are being filled @param {string[]} changed those of them that differ from their defaults
   */
  fit(given, changed) {
    for (const fold of this.folds) {
      if (fold.fields.some((name) => changed.includes(name))) this.#set(fold, true);
      else if (fold.silences && fold.fields.every((name) => given.includes(name))) this.#set(fold, false);
    }
  }

  /** @param {Fold} fold */
  #makeSwitch(fold) {
    const box = h("input", { type: "checkbox" });
    box.addEventListener("change", () => this.#set(fold, /** @type {HTMLInputElement} */ (box).checked));
    return h("label", { class: "easel-switch" }, box, h("span", {}, fold.label));
  }

  /** @param {Fold} fold */
  #makeDisclosure(fold) {
    return h("button", {
      type: "button", class: "easel-disclosure", "aria-controls": fold.content.slice(1),
      onclick: () => this.#set(fold, !this.open[fold.name]),
    }, fold.label);
  }

  /** @param {Fold} fold @param {boolean} open */
  #set(fold, open) {
    this.open[fold.name] = open;
    localStorage.setItem(this.key + fold.name, open ? "open" : "closed");
    this.#show(fold);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Fold} fold */
  #show(fold) {
    const open = this.open[fold.name];
    document.querySelector(fold.content)?.toggleAttribute("data-easel-open", open);
    const box = document.querySelector(`${fold.place} input`);
    if (box instanceof HTMLInputElement) box.checked = open;
    document.querySelector(`${fold.place} button`)?.setAttribute("aria-expanded", String(open));
  }
}
