/** A picture as large as the window: arrows for the next one, S saves, Esc or a click beside it closes; it can be sent on. */
import { h } from "./dom.js";

export class Lightbox {
  /** @param {import("./verify.js").Verification} verification */
  constructor(verification) {
    this.verification = verification;
    /** @type {import("./live.js").JobImage[]} */
    this.images = [];
    this.place = 0;
    this.picture = h("img", { alt: "" });
    this.counter = h("span", { class: "easel-lightbox-counter" });
    /** @type {string} the job that the pictures are of */
    this.job = "";
    this.save = h("a", { class: "easel-lightbox-button", download: true, title: "Save (S)", "aria-label": "Save" }, "⤓");
    const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {string} */ more, /** @type {() => void} */ action) =>
      h("button", { type: "button", class: `easel-lightbox-button ${more}`, title: label, "aria-label": label, onclick: action }, text);
    this.previous = button("‹", "Previous picture", "easel-previous", () => this.step(-1));
    this.next = button("›", "Next picture", "easel-next", () => this.step(1));
    const close = button("✕", "Close", "", () => this.dialog.close());
    const verify = button("🔍", "Verify: make it again and compare", "", () => this.verify());
    const sends = [
      button("🖼️", "Send to img2img", "", () => this.#send("img2img")),
      button("🎨️", "Send to Inpaint", "", () => this.#send("inpaint")),
    ];
    const bar = h("div", { class: "easel-lightbox-bar" }, this.counter, ...sends, verify, this.save, close);
    this.dialog = /** @type {HTMLDialogElement} */ (
      h("dialog", { class: "easel-lightbox", "aria-label": "Picture" }, this.picture, this.previous, this.next, bar)
    );
  }

  /** @param {import("./sending.js").Sending} sending */
  start(sending) {
    this.sending = sending;
    document.body.append(this.dialog);
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog || event.target === this.picture) this.dialog.close();
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
      if (event.key === "s") this.save.click();
    });
    // Before Gradio's own handler, which would go back to the grid.
  }

  /** Open the selected picture of a gallery on a click. @param {import("./gallery.js").Gallery} gallery */
  follow(gallery) {
    document.addEventListener("click", (event) => {
      const target = event.target instanceof Element ? event.target : null;
      if (!target?.closest(`${gallery.place} .preview .media-button`) || !gallery.job) return;
      event.preventDefault();
      event.stopPropagation();
      this.open(gallery.job.images, gallery.selected(), gallery.job.id);
    }, true);
  }

  /** @param {import("./live.js").JobImage[]} images @param {number} place @param {string} job */
  open(images, place, job) {
    if (!images.length) return;
    this.job = job;
    this.images = images;
    this.place = place;
    this.step(0);
    this.dialog.showModal();
  }

  verify() {
    this.dialog.close();
    this.verification.show({ job: this.job, index: this.images[this.place].index });
  }

  /** @param {string} mode */
  #send(mode) {
    this.dialog.close();
    this.sending?.send(mode, this.images[this.place]);
  }

  /** @param {number} by */
  step(by) {
    this.place = (this.place + by + this.images.length) % this.images.length;
    const image = this.images[this.place];
    this.picture.setAttribute("src", image.url);
    this.picture.setAttribute("alt", image.infotext);
    this.save.setAttribute("href", image.url);
    const several = this.images.length > 1;
    this.counter.textContent = several ? `${this.place + 1} / ${this.images.length}` : "";
    this.previous.hidden = this.next.hidden = !several;
  }
}
