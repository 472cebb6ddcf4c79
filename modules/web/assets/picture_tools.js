/** The buttons under the gallery: a hires pass over the selected picture, and whether it can be made again exactly. */
import { post } from "./api.js";
import { h, whenPresent } from "./dom.js";

export class PictureTools {
  /**
   * @param {import("./gallery.js").Gallery} gallery @param {import("./form.js").Form} form
   * @param {import("./messages.js").Messages} messages @param {import("./verify.js").Verification} verification
   */
  constructor(gallery, form, messages, verification) {
    this.gallery = gallery;
    this.form = form;
    this.messages = messages;
    this.verification = verification;
    const button = (/** @type {string} */ id, /** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ action) =>
      h("button", { type: "button", id, class: "easel-button", title: label, onclick: action }, text);
    this.box = h("div", { class: "easel-picture-tools", hidden: true },
      button("txt2img_upscale", "✨ Upscale", "Make an enlarged picture of the selected one, with the Hires. fix settings of the form", () => this.#upscale()),
      button("txt2img_verify", "🔍 Verify", "Make the selected picture again and compare", () => this.#verify()));
  }

  start() {
    whenPresent("#image_buttons_txt2img", (place) => place.replaceChildren(this.box));
    this.gallery.addEventListener("shown", () => (this.box.hidden = !this.gallery.selectedImage()));
  }

  async #upscale() {
    const picture = this.#selected();
    if (!picture) return;
    try {
      await post("/easel/hires", { ...picture, values: this.form.requestValues(true) });
      this.messages.outcome("{}");
    } catch (error) {
      this.messages.outcome(JSON.stringify({ detail: /** @type {any} */ (error).message, problems: /** @type {any} */ (error).problems }));
    }
  }

  #verify() {
    const picture = this.#selected();
    if (picture) this.verification.show(picture);
  }

  #selected() {
    const image = this.gallery.selectedImage();
    return image && this.gallery.job ? { job: this.gallery.job.id, index: image.index } : null;
  }
}
