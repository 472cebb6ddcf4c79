/** The buttons under a gallery: on to another tab, a hires pass over the selected picture, and whether it can be made again exactly. */
import { post } from "./api.js";
import { h, whenPresent } from "./dom.js";

/** Which sub-tabs of img2img a picture is sent to, as in A1111. */
const TARGETS = [
  { mode: "img2img", icon: "🖼️", label: "img2img" },
  { mode: "inpaint", icon: "🎨️", label: "Inpaint" },
  { mode: "sketch", icon: "✏️", label: "Sketch" },
];

export class PictureTools {
  /**
   * @param {import("./generation_page.js").GenerationPage} page @param {import("./verify.js").Verification} verification
   * @param {import("./sending.js").Sending} sending
   */
  constructor(page, verification, sending) {
    this.page = page;
    this.verification = verification;
    this.sending = sending;
    const { name } = page;
    const button = (/** @type {string} */ id, /** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ action) =>
      h("button", { type: "button", id, class: "easel-button", title: label, onclick: action }, text);
    this.box = h("div", { class: "easel-picture-tools", hidden: true },
      ...TARGETS.map(({ mode, icon, label }) =>
        button(`${name}_send_to_${mode}`, `${icon} ${label}`, `Send the picture and its prompt to ${label}`, () => this.#send(mode))),
      name === "txt2img" ? button("txt2img_upscale", "✨ Upscale", "Make an enlarged picture of the selected one, with the Hires. fix settings of the form", () => this.#upscale()) : null,
      button(`${name}_verify`, "🔍 Verify", "Make the selected picture again and compare", () => this.#verify()));
  }

  start() {
    const { gallery, name } = this.page;
    whenPresent(`#image_buttons_${name}`, (place) => place.replaceChildren(this.box));
    gallery.addEventListener("shown", () => (this.box.hidden = !gallery.selectedImage()));
  }

  /** @param {string} mode */
  #send(mode) {
    const image = this.page.gallery.selectedImage();
    if (image) this.sending.send(mode, image);
  }

  async #upscale() {
    const picture = this.#selected();
    if (!picture) return;
    try {
      await post("/easel/hires", { ...picture, values: this.page.form.requestValues(true) });
      this.page.outcome.show("{}");
    } catch (error) {
      this.page.outcome.refused(error);
    }
  }

  #verify() {
    const picture = this.#selected();
    if (picture) this.verification.show(picture);
  }

  #selected() {
    const { gallery } = this.page;
    const image = gallery.selectedImage();
    return image && gallery.job ? { job: gallery.job.id, index: image.index } : null;
  }
}
