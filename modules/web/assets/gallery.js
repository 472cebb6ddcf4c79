/** The gallery's pictures, the infotext of the selected one, and its seed. */
import { copyText, h, press, whenPresent } from "./dom.js";

const CHECK_MS = 1500;
const MOST_CHECKS = 5;
/** What a class of the gallery begins with that says which job its pictures are of; see show_pictures() in generation.py. */
const OF_JOB = "easel-of-job-";

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
    /** @type {import("./live.js").Job | null} the job whose pictures are asked for, or are shown already */
    this.coming = null;
    /** the job, by its id, whose pictures came last, and whether the first of them is still to be selected */
    this.arrived = "";
    this.begins = false;
    this.text = h("div", { class: "easel-infotext-text" });
    const copy = h("button", { type: "button", class: "easel-quiet", onclick: () => this.copy() }, "Copy infotext");
    this.info = h("div", { class: "easel-infotext-box", hidden: true }, this.text, copy);
  }

  start() {
    this.live.on("change", () => this.#follow());
    whenPresent(`#html_info_${this.page}`, (root) => root.replaceChildren(this.info));
    whenPresent(this.place, (root) => {
      const look = () => {
        keepFocus(root);
        this.#takeArrived(root);
        this.#showInfo();
      };
      new MutationObserver(look).observe(root, {
        subtree: true, childList: true, attributes: true, attributeFilter: ["class"],
      });
      look();
      if (this.coming) this.#refresh();
    });
  }

  /** Called by Gradio: the job whose pictures the gallery is to show. */
  wanted() {
    return this.coming?.id ?? "";
  }

  /** Show the pictures of a job. @param {import("./live.js").Job} job */
  show(job) {
    const before = this.coming;
    this.coming = job;
    if (this.job?.id === job.id) this.job = job;
    const [old, now] = [before?.images, job.images];
    if (before?.id === job.id && old?.length === now.length && old[0]?.url === now[0]?.url) return;
    this.#refresh();
    this.#showInfo();
  }

  /**
   * Begin with the first picture when those of another job have come. Gradio keeps the selection otherwise: an answer
   * that told it what to select would take back what the user has chosen while it was on its way.
   * @param {HTMLElement} root
   */
  #takeArrived(root) {
    const name = [...root.classList].find((each) => each.startsWith(OF_JOB));
    const id = name?.slice(OF_JOB.length) ?? "";
    if (id !== this.arrived) {
      this.arrived = id;
      this.begins = true;
      this.job = id === this.coming?.id ? this.coming : null;
    }
    const first = this.begins && root.querySelector(".grid-wrap .thumbnail-item");
    if (!(first instanceof HTMLElement)) return;
    this.begins = false;
    if (!first.classList.contains("selected")) first.click();
  }

  /** Have Gradio fetch the pictures, and again should they not have come. @param {number} [checks] */
  async #refresh(checks = MOST_CHECKS) {
    await this.ready;
    press(`${this.page}_gallery_refresh`);
    const job = this.coming;
    setTimeout(() => {
      const shown = document.querySelectorAll(`${this.place} .grid-wrap .thumbnail-item`).length;
      if (checks > 0 && job === this.coming && shown !== job?.images.length) this.#refresh(checks - 1);
    }, CHECK_MS);
  }

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
    if (job && (job.images.length || job.id === this.coming?.id)) this.show(job);
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
