/** The gallery's pictures, the infotext of the selected one, and its seed. */
import { copyText, h, press, whenPresent } from "./dom.js";

const CHECK_MS = 1500;
const MOST_CHECKS = 5;

export class Gallery extends EventTarget {
  /**
   * @param {string} page @param {import("./live.js").Live} live @param {import("./messages.js").Messages} messages
   * @param {Promise<void>} ready when Gradio's events work
   */
  constructor(page, live, messages, ready) {
    super();
    this.page = page;
    this.place = `#${page}_gallery`;
    this.live = live;
    this.messages = messages;
    this.ready = ready;
    /** @type {import("./live.js").Job | null} the job whose pictures are shown */
    this.job = null;
    this.text = h("div", { class: "easel-infotext-text" });
    const copy = h("button", { type: "button", class: "easel-quiet", onclick: () => this.copy() }, "Copy infotext");
    this.info = h("div", { class: "easel-infotext-box", hidden: true }, this.text, copy);
  }

  start() {
    this.live.on("change", () => this.#follow());
    whenPresent(`#html_info_${this.page}`, (root) => root.replaceChildren(this.info));
    whenPresent(this.place, (root) => {
      new MutationObserver(() => {
        keepFocus(root);
        this.#showInfo();
      }).observe(root, {
        subtree: true, childList: true, attributes: true, attributeFilter: ["class"],
      });
      if (this.job) this.#refresh();
    });
  }

  /** Called by Gradio: whose pictures the gallery is to show, and which of them selected. */
  wanted() {
    return JSON.stringify({ job: this.job?.id ?? "", selected: this.pendingSelection });
  }

  /** Show the pictures of a job. @param {import("./live.js").Job} job */
  show(job) {
    const same = this.job?.id === job.id;
    if (same && this.job?.images.length === job.images.length && this.job.images[0]?.url === job.images[0]?.url) {
      this.job = job;
      return;
    }
    this.pendingSelection = same ? this.selected() : 0;
    this.job = job;
    this.#refresh();
    this.#showInfo();
  }

  /** Have Gradio fetch the pictures, and again should they not have come. @param {number} [checks] */
  async #refresh(checks = MOST_CHECKS) {
    await this.ready;
    press(`${this.page}_gallery_refresh`);
    const job = this.job;
    setTimeout(() => {
      const shown = document.querySelectorAll(`${this.place} .grid-wrap .thumbnail-item`).length;
      if (checks > 0 && job === this.job && shown !== job?.images.length) this.#refresh(checks - 1);
    }, CHECK_MS);
  }

  pendingSelection = 0;

  /** @returns {number} the place of the selected picture, from 0 */
  selected() {
    const thumbnails = [...document.querySelectorAll(`${this.place} .thumbnails .thumbnail-small`)];
    return Math.max(0, thumbnails.findIndex((thumbnail) => thumbnail.classList.contains("selected")));
  }

  /** @returns {import("./live.js").JobImage | null} */
  selectedImage() {
    return this.job?.images[this.selected()] ?? null;
  }

  /** @returns {string | null} as text, since a seed may be too large for a JavaScript number */
  selectedSeed() {
    return this.selectedImage()?.seed ?? null;
  }

  /** @returns {string | null} the variation seed, or the seed itself where there was no variation */
  selectedSubseed() {
    return this.selectedImage()?.subseed ?? null;
  }

  async copy() {
    const image = this.selectedImage();
    if (!image) return;
    await copyText(image.infotext);
    this.messages.note("Infotext copied.");
  }

  #follow() {
    const job = this.live.shown[this.page];
    if (job && (job.images.length || (job.id === this.job?.id))) this.show(job);
  }

  #showInfo() {
    const image = this.selectedImage();
    this.info.hidden = !image;
    this.dispatchEvent(new Event("shown"));
    const text = image?.infotext ?? "";
    if (this.text.dataset.shown === text) return;
    this.text.dataset.shown = text;
    this.text.replaceChildren(...text.split("\n").map((line) => h("p", {}, line)));
  }
}

/**
 * Gradio focuses the selected thumbnail whenever pictures arrive, which would take the cursor out of the prompt and
 * scroll the page; here the focus only ever moves within the gallery.
 * @param {HTMLElement} root
 */
function keepFocus(root) {
  for (const thumbnail of root.querySelectorAll(".thumbnails .thumbnail-small:not([data-easel-focus])")) {
    const button = /** @type {HTMLElement} */ (thumbnail);
    button.dataset.easelFocus = "kept";
    button.focus = (options) => {
      if (root.contains(document.activeElement)) HTMLElement.prototype.focus.call(button, { ...options, preventScroll: true });
    };
  }
}
