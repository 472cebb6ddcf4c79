/** Brings pictures to the tabs that work on pictures: by the send-to buttons, by Ctrl+V and by dropping them anywhere. */
import { post } from "./api.js";
import { fetchPicture, ourAddress } from "./paster.js";

/** What goes along with a picture that is sent from a gallery, as in A1111. */
const ALONG = ["prompt", "negative_prompt", "styles", "steps", "cfg_scale", "seed", "width", "height"];
/** Where files and pictures have a meaning of their own. */
const OWN_PLACES = "dialog, .easel-dropzone, .easel-canvas, .easel-prompt-box, .easel-library-place, [data-easel-takes-files]";

export class Sending {
  /** @param {import("./img2img_page.js").Img2ImgPage} img2img @param {import("./messages.js").Messages} messages */
  constructor(img2img, messages) {
    this.img2img = img2img;
    this.messages = messages;
  }

  start() {
    document.addEventListener("paste", (event) => this.#paste(event));
    document.addEventListener("dragover", (event) => {
      const types = event.dataTransfer?.types ?? [];
      if (!event.defaultPrevented && !inOwnPlace(event) && types.includes("Files")) event.preventDefault();
    });
    document.addEventListener("drop", (event) => this.#drop(event));
  }

  /**
   * Send a picture of a gallery to a sub-tab of img2img, with its prompt and what else A1111 sends along.
   * @param {string} mode @param {{url: string, infotext: string}} image
   */
  async send(mode, image) {
    try {
      const [picture, pasted] = await Promise.all([fetchPicture(image.url), post("/easel/paste", { text: image.infotext })]);
      const values = { ...pasted.fields, ...(pasted.styles === null ? {} : { styles: pasted.styles }) };
      this.img2img.form.set(Object.fromEntries(Object.entries(values).filter(([name]) => ALONG.includes(name))));
      await this.img2img.take(mode, picture);
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** @param {string | null} mode @param {File | Blob} picture */
  async take(mode, picture) {
    try {
      await this.img2img.take(mode, picture);
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** A picture in the clipboard goes to img2img, unless PNG Info is open or a dialog. @param {ClipboardEvent} event */
  #paste(event) {
    const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    const elsewhere = document.querySelector("dialog[open]") || onScreen(".easel-pnginfo");
    if (!file || elsewhere || event.defaultPrevented) return;
    event.preventDefault();
    this.take(null, file);
  }

  /** @param {DragEvent} event */
  async #drop(event) {
    const data = event.dataTransfer;
    if (event.defaultPrevented || inOwnPlace(event) || !data) return;
    const file = [...data.files].find((each) => each.type.startsWith("image/"));
    const address = data.files.length ? null : ourAddress(data.getData("text/uri-list"));
    if (data.files.length) event.preventDefault();
    if (file) await this.take(null, file);
    else if (address && onScreen("#img2img_settings")) await this.take(null, await fetchPicture(address));
    else if (data.files.length) this.messages.note(`${data.files[0].name} is no picture.`, "error");
  }
}

/** @param {DragEvent} event */
function inOwnPlace(event) {
  return event.target instanceof Element && event.target.closest(OWN_PLACES) !== null;
}

/** @param {string} selector */
function onScreen(selector) {
  const element = document.querySelector(selector);
  return element instanceof HTMLElement && element.offsetParent !== null;
}
