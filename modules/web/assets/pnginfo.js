/** The PNG Info tab: what a picture's file says of how it was made, and what to do with that. */
import { Refused } from "./api.js";
import { copyText, h, openTab, whenPresent } from "./dom.js";
import { fetchPicture, ourAddress, readPicture } from "./paster.js";

export class PictureInfoView {
  /**
   * @param {Record<string, import("./generation_page.js").GenerationPage>} pages @param {import("./messages.js").Messages} messages
   * @param {import("./verify.js").Verification} verification @param {import("./sending.js").Sending} sending
   */
  constructor(pages, messages, verification, sending) {
    this.pages = pages;
    this.messages = messages;
    this.verification = verification;
    this.sending = sending;
    /** @type {File | Blob | null} the picture that is shown */
    this.file = null;
    this.address = "";
    this.input = /** @type {HTMLInputElement} */ (h("input", { type: "file", accept: "image/*", class: "easel-file" }));
    this.input.addEventListener("change", () => this.#take(this.input.files?.[0]));
    this.picture = h("img", { alt: "The chosen picture", hidden: true });
    this.zone = h("label", { id: "pnginfo_image", class: "easel-dropzone" }, this.input, this.picture,
      h("span", {}, h("b", {}, "Drop a picture here"), " or click to choose one. Ctrl+V pastes one."));
    this.result = h("div", { class: "easel-pnginfo-result", "aria-live": "polite" });
    this.box = h("div", { class: "easel-pnginfo" }, this.zone, this.result);
  }

  start() {
    whenPresent("#easel_pnginfo", (place) => place.replaceChildren(this.box));
    this.zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.zone.setAttribute("data-easel-drop", "");
    });
    this.zone.addEventListener("dragleave", () => this.zone.removeAttribute("data-easel-drop"));
    this.zone.addEventListener("drop", (event) => this.#drop(event));
    document.addEventListener("paste", (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
      if (file && this.box.offsetParent) this.#take(file);
    });
  }

  /** @param {DragEvent} event */
  async #drop(event) {
    event.preventDefault();
    this.zone.removeAttribute("data-easel-drop");
    const file = event.dataTransfer?.files[0];
    const address = ourAddress(event.dataTransfer?.getData("text/uri-list") ?? "");
    if (file) await this.#take(file);
    else if (address) await this.#take(await fetchPicture(address).catch(() => undefined));
  }

  /** @param {File | Blob | undefined} file */
  async #take(file) {
    if (!file) return;
    this.input.value = "";
    this.file = file;
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = URL.createObjectURL(file);
    this.picture.setAttribute("src", this.address);
    this.picture.hidden = false;
    this.result.replaceChildren(h("p", { class: "easel-soft" }, "Reading…"));
    try {
      this.result.replaceChildren(...this.#show(await readPicture(file)));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.picture.hidden = true;
      this.result.replaceChildren(h("p", { class: "easel-error-text", role: "alert" }, error.message));
    }
  }

  /** @param {import("./paster.js").PictureInfo} info */
  #show(info) {
    const facts = [info.format, `${info.width}×${info.height}`].join(", ");
    const items = Object.entries(info.items ?? {});
    const lost = [...new Set([...(info.pasted?.notes ?? []), ...(info.unmapped ?? [])])];
    return [
      h("p", { class: "easel-source" }, info.text === null ? "No generation parameters" : `Made with ${info.source}`,
        h("span", { class: "easel-soft" }, facts)),
      info.problem ? h("p", { class: "easel-error-text", role: "alert" }, info.problem) : null,
      h("div", { class: "easel-tools" }, ...this.#buttons(info)),
      info.text === null ? null : h("div", { id: "pnginfo_generation_info", class: "easel-infotext-text easel-framed" },
        ...info.text.split("\n").map((line) => h("p", {}, line))),
      lost.length ? h("div", { class: "easel-lost" }, h("h3", {}, "What could not be taken over"), h("ul", {}, ...lost.map((line) => h("li", {}, line)))) : null,
      items.length ? h("details", { class: "easel-raw" }, h("summary", {}, items.length === 1 ? "1 item in the file" : `${items.length} items in the file`),
        ...items.map(([key, text]) => h("div", {}, h("h4", {}, key), h("pre", {}, text)))) : null,
    ].filter((node) => node !== null);
  }

  /** @param {import("./paster.js").PictureInfo} info */
  #buttons({ pasted, unmapped, digest, text }) {
    const button = (/** @type {string} */ id, /** @type {string} */ words, /** @type {() => void} */ action, more = "") =>
      h("button", { type: "button", id, class: `easel-button ${more}`, onclick: action }, words);
    const fill = (/** @type {string} */ page) => pasted && this.pages[page].paster?.apply(pasted, unmapped);
    const send = (/** @type {string} */ mode) => {
      if (!this.file) return;
      fill("img2img");
      this.sending.take(mode, this.file);
    };
    return [
      pasted ? button("pnginfo_send_to_txt2img", "Send to txt2img", () => {
        fill("txt2img");
        openTab("txt2img");
      }, "easel-primary") : null,
      button("pnginfo_send_to_img2img", "Send to img2img", () => send("img2img")),
      button("pnginfo_send_to_inpaint", "Send to Inpaint", () => send("inpaint")),
      pasted && digest ? button("pnginfo_verify", "🔍 Verify", () => this.verification.show({ digest })) : null,
      text === null ? null : button("pnginfo_copy", "Copy", async () => {
        await copyText(text);
        this.messages.note("Infotext copied.");
      }),
    ];
  }
}
